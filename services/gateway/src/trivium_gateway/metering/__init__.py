"""What tenants and their keys use, and how much of it they may."""

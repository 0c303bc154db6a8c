"""What is in a release, and under which terms: licences, bills of materials, secrets, versions."""

"""The web page at `/`: plain HTML, CSS and JavaScript modules in `static`, served as they are."""

from trivium_gateway.surfaces.http.page.routes import page_routes

__all__ = ["page_routes"]

// The pictures on buttons: each a path in a square of 24, drawn in the colour of the text around it.

const ICONS = {
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  trash: "M4 7h16M9 7V4h6v3M6.5 7l1 13h9l1-13M10 11v5M14 11v5",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  plus: "M12 5v14M5 12h14",
  upload: "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M19 5l-1.4 1.4M6.4 17.6 5 19",
  moon: "M20 14.5A8 8 0 119.5 4a6.5 6.5 0 0010.5 10.5z",
  alert: "M12 4 2.5 20h19zM12 10v4M12 17v.5",
  info: "M12 3a9 9 0 100 18 9 9 0 000-18M12 11v5M12 8v.5",
  up: "M4 11h3v9H4zM7 11l4-8c1.6.3 2.4 1.5 2.2 3L12.6 9.5h5.6a2 2 0 012 2.4l-1.3 6.5a2 2 0 01-2 1.6H7",
  down: "M4 13h3V4H4zM7 13l4 8c1.6-.3 2.4-1.5 2.2-3l-.6-3.5h5.6a2 2 0 002-2.4L18.9 5.6a2 2 0 00-2-1.6H7",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  done: "M5 12.5l4.5 4.5L19 7.5",
  edit: "M4 20l1-4.5L16.5 4 20 7.5 8.5 19zM14 6.5 17.5 10",
  again: "M19.5 12a7.5 7.5 0 11-2.2-5.3L20 9M20 4v5h-5",
  link: "M10 14a4 4 0 006 .5l3-3a4 4 0 00-5.7-5.7l-1 1M14 10a4 4 0 00-6-.5l-3 3a4 4 0 005.7 5.7l1-1",
  panel: "M4 5h16v14H4zM9.5 5v14",
  search: "M11 5a6 6 0 100 12 6 6 0 000-12M15.5 15.5 20 20",
  save: "M12 4v11M7 10.5l5 5 5-5M4 20h16",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  layers: "M12 3.5l9 5-9 5-9-5zM3.5 13.5l8.5 5 8.5-5",
  broken: "M4 12h5l2-5 3 10 2-5h4",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// Light or dark, as chosen earlier: before anything is painted, so not a module. Without a choice the system's holds.
"use strict";
try {
  const theme = localStorage.getItem("trivium.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing.
}

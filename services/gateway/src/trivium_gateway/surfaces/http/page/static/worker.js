// Keeps the page's own files, so that it opens without the gateway: the conversations are there, and what needs the gateway says
// so. It touches nothing else, least of all what the API answers.
"use strict";

const CACHE = "trivium-{version}";
const FILES = "{files}";
const PAGE = new URL("./", self.location).href;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([PAGE, ...FILES])).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name.startsWith("trivium-") && name !== CACHE).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const address = request.url.split(/[?#]/, 1)[0];
  if (address === PAGE) event.respondWith(fetch(request).catch(() => caches.match(PAGE)));
  else if (address.startsWith(`${PAGE}page/`)) event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
});

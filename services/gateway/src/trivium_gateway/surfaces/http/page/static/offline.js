// Has the browser keep the page's own files, where its address is a secure one; elsewhere browsers do not offer it.

/** Registers the worker that keeps them. */
export function keepShell() {
  if (!navigator.serviceWorker) return;
  const policy = window.trustedTypes?.createPolicy("trivium-worker", { createScriptURL: () => "worker.js" });
  const register = () => navigator.serviceWorker.register(policy?.createScriptURL("") ?? "worker.js").catch(() => {
    // A browser that keeps nothing.
  });
  if (document.readyState === "complete") register();
  else addEventListener("load", register, { once: true });
}

// Conversations as this browser keeps them: in its database, or for this visit only where it has none to give.

const NAME = "trivium";
const LIST = "conversations"; // what the list shows and searches
const TURNS = "turns"; // what was asked and answered, by the conversation's id

const memory = { [LIST]: new Map(), [TURNS]: new Map() };

const opened = new Promise((resolve) => {
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(LIST, { keyPath: "id" });
      request.result.createObjectStore(TURNS);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  } catch {
    resolve(null);
  }
});

const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** What the list knows of all conversations, whoever's they are. */
export async function entries() {
  const database = await opened;
  if (!database) return [...memory[LIST].values()];
  return result(database.transaction(LIST).objectStore(LIST).getAll());
}

export async function turnsOf(id) {
  const database = await opened;
  if (!database) return memory[TURNS].get(id);
  return result(database.transaction(TURNS).objectStore(TURNS).get(id));
}

/** Keeps an entry, and the conversation's turns if they are given. */
export async function put(entry, turns) {
  const database = await opened;
  if (!database) {
    memory[LIST].set(entry.id, entry);
    if (turns) memory[TURNS].set(entry.id, turns);
    return;
  }
  const transaction = database.transaction([LIST, TURNS], "readwrite");
  transaction.objectStore(LIST).put(entry);
  if (turns) transaction.objectStore(TURNS).put(turns, entry.id);
  await ended(transaction);
}

export async function remove(ids) {
  const database = await opened;
  for (const id of ids) for (const kept of Object.values(memory)) kept.delete(id);
  if (!database) return;
  const transaction = database.transaction([LIST, TURNS], "readwrite");
  for (const name of [LIST, TURNS]) for (const id of ids) transaction.objectStore(name).delete(id);
  await ended(transaction);
}

const ended = (transaction) => new Promise((resolve, reject) => {
  transaction.oncomplete = () => resolve();
  transaction.onabort = () => reject(transaction.error);
});

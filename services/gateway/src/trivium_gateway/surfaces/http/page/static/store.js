// Conversations as this browser keeps them: in its database, or for this visit only where it has none to give, or no room.

const NAME = "trivium";
const LIST = "conversations"; // what the list shows and searches
const TURNS = "turns"; // what was asked and answered, by the conversation's id

const unkept = new Map(); // what the database did not take: an entry and its turns, by id

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

/** What the database says; undefined if there is none, or it fails. */
async function read(name, ask) {
  const database = await opened;
  if (!database) return undefined;
  try {
    return await new Promise((resolve, reject) => {
      const request = ask(database.transaction(name).objectStore(name));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch (error) {
    console.info("The browser does not give what it kept.", error);
    return undefined;
  }
}

/** Changes the database, all of it or nothing. False if there is none, or it fails, as one that is full does. */
async function write(change) {
  const database = await opened;
  if (!database) return false;
  try {
    await new Promise((resolve, reject) => {
      const transaction = database.transaction([LIST, TURNS], "readwrite");
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
      change(transaction.objectStore(LIST), transaction.objectStore(TURNS));
    });
    return true;
  } catch (error) {
    console.info("The browser does not keep this.", error);
    return false;
  }
}

/** What the list knows of all conversations, whoever's they are. */
export async function entries() {
  const kept = await read(LIST, (list) => list.getAll()) ?? [];
  return [...kept.filter(({ id }) => !unkept.has(id)), ...Array.from(unkept.values(), ({ entry }) => entry)];
}

export async function turnsOf(id) {
  return unkept.get(id)?.turns ?? read(TURNS, (all) => all.get(id));
}

/** Keeps an entry, and the conversation's turns if they are given. */
export async function put(entry, turns) {
  const its = turns ?? unkept.get(entry.id)?.turns;
  const isKept = await write((list, all) => {
    list.put(entry);
    if (its) all.put(its, entry.id);
  });
  if (isKept) unkept.delete(entry.id);
  else unkept.set(entry.id, { entry, turns: its ?? await turnsOf(entry.id) });
}

export async function remove(ids) {
  for (const id of ids) unkept.delete(id);
  await write((...stores) => { for (const store of stores) for (const id of ids) store.delete(id); });
}

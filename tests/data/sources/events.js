import { readFile } from 'node:fs/promises';

const listeners = new Map();

export function on(name, listener) {
  const known = listeners.get(name) ?? [];
  listeners.set(name, [...known, listener]);
  return () => {
    listeners.set(name, listeners.get(name).filter((other) => other !== listener));
  };
}

export async function load(path, { encoding = 'utf8', retries = 3 } = {}) {
  for (let attempt = 1; attempt <= retries; attempt += 1) {
    try {
      return JSON.parse(await readFile(path, { encoding }));
    } catch (error) {
      if (attempt === retries) throw new Error(`can't read ${path}: ${error.message}`);
    }
  }
  return undefined;
}

const defaults = {
  name: 'events',
  colours: ['red', 'green', "blue"],
  nested: { deep: { deeper: true } },
};

class Emitter {
  #count = 0;

  emit(name, ...values) {
    (listeners.get(name) || []).forEach((listener) => {
      listener(...values);
      this.#count += 1;
    });
  }

  get count() {
    return this.#count;
  }
}

export default Emitter;

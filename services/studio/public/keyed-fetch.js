// Requests that change something, each with an Idempotency-Key: one whose answer was lost is sent again, and done once.
const TRIES = 5;
const LONGEST_PAUSE = 30;

/** Keys of what has no answer yet, by what was asked: whoever presses the button again asks for the same once more. */
const unanswered = new Map();

// crypto.randomUUID is there on https and on this machine alone.
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16)).join('-');

function wordsOf(path, { method, body }) {
  const file = ({ name, size, lastModified }) => [name, size, lastModified];
  const part = ([name, value]) => [name, typeof value === 'string' ? value : file(value)];
  return JSON.stringify([method, path, body instanceof FormData ? [...body].map(part) : body]);
}

/** Seconds until it is to be asked again; undefined: what came is the answer. */
function pauseBefore(response, tries) {
  if (!response) return 2 ** tries / 4;
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  const isBeingDone = response.status === 409; // by a gateway that got it before: its answer comes
  const isLater = isBeingDone || ([429, 503].includes(response.status) && tries < TRIES);
  return isLater && seconds <= LONGEST_PAUSE ? seconds : undefined;
}

window.keyedFetch = async (path, options = {}) => {
  if (!['POST', 'PUT', 'PATCH'].includes(options.method)) return fetch(path, options);
  const asked = wordsOf(path, options);
  const key = unanswered.get(asked) ?? newKey();
  unanswered.set(asked, key);
  const headers = { ...options.headers, 'idempotency-key': key };
  for (let tries = 1; ; tries++) {
    const response = await fetch(path, { ...options, headers }).catch((error) => {
      if (tries >= TRIES) throw error;
    });
    const pause = pauseBefore(response, tries);
    if (pause === undefined) {
      if (response.status < 499) unanswered.delete(asked);
      return response;
    }
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
  }
};

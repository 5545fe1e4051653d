// Who is logged in: the server keeps that in a cookie which no script can read.

const URL = "/v1/session";
const RENEWED_MS = 600000; // a log-in lasts for days after the last page was open: a wallboard's never ends
const PATIENCE_MS = 8000;
const tabs = new BroadcastChannel("tally log-in");

const ask = (method, body) =>
  fetch(URL, {
    method,
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });

export async function logIn(key) {
  const response = await ask("POST", { key });
  if (response.ok) tabs.postMessage("in");
  return response;
}

/** What the log-in opens, as the API says it; null where nobody is logged in. Throws where the server is away. */
export async function whoIsThere() {
  const response = await ask("GET");
  if (response.status === 401) return null;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

/** Do something whenever somebody logs in or out in another tab. */
export function onChange(changed) {
  tabs.onmessage = ({ data }) => changed(data);
}

export function renewing() {
  setInterval(() => ask("PUT").catch(() => {}), RENEWED_MS);
}

/** Log out. Returns what is wrong: the cookie is the server's, and nobody else can take it back. */
export async function logOut() {
  const response = await ask("DELETE").catch(() => null);
  if (!response?.ok) return `${response ? `The server answers ${response.status}` : "The server does not answer"}: you are still logged in.`;
  tabs.postMessage("out");
  location.reload();
  return null;
}

// The sandbox's JSON API, and the feed by long polling.

export class Refused extends Error {}

async function read(response) {
  const body = await response.json();
  if (!body.ok) throw new Refused(body.message ?? body.error ?? "refused");
  return body;
}

export async function get(path, params = {}, signal = undefined) {
  const kept = Object.entries(params).filter(([, value]) => value !== null && value !== undefined);
  return read(await fetch(`/sandbox/${path}?${new URLSearchParams(kept)}`, { signal }));
}

export async function post(path, body) {
  return read(
    await fetch(`/sandbox/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

// Calls `take(entry)` for each change that `user` may see, until `signal` aborts.
export async function follow({ user, since, take, online, signal }) {
  let seq = since;
  while (!signal.aborted) {
    try {
      const answer = await get("feed", { user, since: seq, timeout: 25 }, signal);
      seq = answer.seq;
      online(true);
      if (answer.reset) take({ kind: "reset" });
      for (const entry of answer.entries) take(entry);
    } catch {
      if (signal.aborted) return;
      online(false);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

// What the page knows: people, conversations, messages, statuses.

export class Store {
  constructor() {
    this.users = new Map();
    this.groups = new Map();
    this.channels = new Map();
    this.messages = new Map();
    this.statuses = new Map();
    this.prompts = new Map();
    this.unread = new Map();
    this.clicks = new Map();
    this.home = null;
    this.app = null;
    this.shortcuts = [];
    this.commands = [];
    this.standing = { installed: true, connected: true };
  }

  load(state) {
    this.users = new Map(state.users.map((user) => [user.id, user]));
    this.groups = new Map(state.groups.map((group) => [group.id, group]));
    this.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
    this.messages = new Map();
    this.statuses = new Map(state.statuses.map((s) => [`${s.channel}/${s.thread_ts}`, s]));
    this.prompts = new Map(Object.entries(state.prompts));
    this.home = state.home;
    this.app = state.app;
    this.standing = { installed: state.installed, connected: state.connected };
    this.team = state.team;
    this.shortcuts = state.shortcuts;
    this.commands = state.commands;
  }

  known(channel) {
    if (!this.messages.has(channel)) this.messages.set(channel, new Map());
    return this.messages.get(channel);
  }

  put(channel, message) {
    this.known(channel).set(message.ts, message);
  }

  drop(channel, ts) {
    this.known(channel).delete(ts);
  }

  top(channel) {
    return this.#sorted(channel, (m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast");
  }

  thread(channel, root) {
    return this.#sorted(channel, (m) => m.ts === root || m.thread_ts === root);
  }

  #sorted(channel, keep) {
    return [...this.known(channel).values()].filter(keep).sort((a, b) => (a.ts < b.ts ? -1 : 1));
  }

  // Keeps what the app says it does in a thread, for as long as it says or does something.
  status(entry) {
    const key = `${entry.channel}/${entry.thread_ts}`;
    if (entry.status || entry.session === "processing") this.statuses.set(key, entry);
    else this.statuses.delete(key);
  }

  title(channel, me) {
    if (channel.kind !== "im") return channel.name;
    const other = channel.members.find((id) => id !== me);
    return this.users.get(other)?.real_name ?? "Direct message";
  }

  appDm(me) {
    return [...this.channels.values()].find(
      (c) => c.kind === "im" && c.members.includes(me) && c.members.includes(this.app.user),
    );
  }
}

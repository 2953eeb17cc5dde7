// The page: reads the state as one person, follows the feed, draws.

import { BlockRenderer } from "./blocks.js";
import { typed, wire } from "./composer.js";
import { toast } from "./dom.js";
import { Modal } from "./modal.js";
import { follow, get, post } from "./net.js";
import { Panes } from "./panes.js";
import { Settings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { TextRenderer } from "./text.js";

class App {
  constructor() {
    this.store = new Store();
    this.user = null;
    this.place = { channel: null, thread: null, tab: "messages" };
    this.beside = null;
    this.online = true;
    this.follower = null;
    this.text = new TextRenderer({
      user: (id) => this.store.users.get(id)?.real_name,
      channel: (id) => this.store.channels.get(id)?.name,
      group: (id) => this.store.groups.get(id)?.handle,
      me: () => this.user,
    });
    this.blocks = new BlockRenderer(this.text);
    this.modal = new Modal(this.blocks, () => this.people(), () => this.user);
    this.settings = new Settings(this);
    this.sidebar = new Sidebar(this);
    this.panes = new Panes(this);
  }

  people() {
    return [...this.store.users.values()].filter((user) => !user.is_bot);
  }

  async start() {
    const wanted = new URLSearchParams(location.search).get("as") ?? localStorage.getItem("sandbox-user");
    const all = await get("state");
    const people = all.users.filter((user) => !user.is_bot);
    const named = people.find((user) => user.id === wanted || user.name === wanted);
    const [, channel, message] = location.pathname.match(/^\/archives\/([A-Z0-9]+)(?:\/p(\d+))?/) ?? [];
    const ts = message ? `${message.slice(0, -6)}.${message.slice(-6)}` : null;
    const root = new URLSearchParams(location.search).get("thread_ts") ?? ts;
    const last = JSON.parse(sessionStorage.getItem("sandbox-place") ?? "null");
    await this.become((named ?? people[0]).id, channel ? { channel, thread: root } : last);
  }

  async become(user, place = null) {
    this.user = user;
    this.beside = null;
    localStorage.setItem("sandbox-user", user);
    this.modal.show(null);
    await this.reload(place ?? this.place);
  }

  async reload(place) {
    this.follower?.abort();
    const follower = new AbortController();
    this.follower = follower;
    const state = await get("state", { user: this.user });
    this.store.load(state);
    const channels = [...this.store.channels.values()];
    const fallback = channels.find((c) => c.name === "support") ?? channels[0];
    const channel = this.store.channels.has(place?.channel) ? place.channel : fallback.id;
    await this.go(channel, { thread: channel === place?.channel ? place.thread : null, tab: place?.tab });
    this.modal.show(state.modal);
    follow({
      user: this.user,
      since: state.seq,
      take: (entry) => this.take(entry),
      online: (online) => this.setOnline(online),
      signal: follower.signal,
    });
  }

  setOnline(online) {
    if (online === this.online) return;
    this.online = online;
    this.sidebar.draw();
  }

  async go(channel, { thread = null, tab = "messages" } = {}) {
    this.place = { channel, thread, tab: this.isAppDm(channel) ? (tab ?? "messages") : "messages" };
    sessionStorage.setItem("sandbox-place", JSON.stringify(this.place));
    if (!this.isAppDm(channel)) this.beside = channel;
    this.store.unread.delete(channel);
    const { messages } = await get("messages", { channel, user: this.user });
    for (const message of messages) this.store.put(channel, message);
    if (thread) await this.loadThread(channel, thread);
    if (this.isAppDm(channel)) await this.openApp();
    this.sidebar.draw();
    this.panes.draw({ scroll: true, focus: true });
  }

  // In Slack the app opens beside the channel that was on screen; the app is told of both.
  async openApp() {
    await post("home", { user: this.user, tab: this.place.tab });
    if (this.place.tab === "messages") await post("context", { user: this.user, channel: this.beside });
  }

  async openThread(ts) {
    this.place.thread = ts;
    sessionStorage.setItem("sandbox-place", JSON.stringify(this.place));
    await this.loadThread(this.place.channel, ts);
    this.panes.draw({ scroll: true, focus: "thread" });
  }

  async loadThread(channel, thread) {
    const answer = await get("messages", { channel, thread_ts: thread, user: this.user });
    for (const message of answer.messages) this.store.put(channel, message);
  }

  closeThread() {
    this.place.thread = null;
    sessionStorage.setItem("sandbox-place", JSON.stringify(this.place));
    this.panes.draw({ focus: true });
  }

  isAppDm(channel) {
    const found = this.store.channels.get(channel);
    return found?.kind === "im" && found.members.includes(this.store.app.user);
  }

  take(entry) {
    const { store } = this;
    switch (entry.kind) {
      case "reset":
        this.reload(this.place);
        return;
      case "message":
      case "message_changed":
      case "ephemeral":
        store.put(entry.channel, entry.message);
        if (entry.kind !== "message_changed" && entry.channel !== this.place.channel) {
          store.unread.set(entry.channel, (store.unread.get(entry.channel) ?? 0) + 1);
        }
        if (!store.channels.has(entry.channel)) this.refreshChannels();
        break;
      case "message_deleted":
      case "ephemeral_deleted":
        store.drop(entry.channel, entry.ts);
        break;
      case "status":
        store.status(entry);
        break;
      case "prompts":
        store.prompts.set(entry.channel, entry);
        break;
      case "view":
        store.home = entry.home;
        this.modal.show(entry.modal);
        break;
      case "app":
        store.standing = { installed: entry.installed, connected: entry.connected };
        this.sidebar.draw();
        return;
      case "group":
        store.groups.set(entry.group.id, entry.group);
        return;
      case "channel":
        this.refreshChannels();
        return;
      default:
        return;
    }
    if (entry.channel !== undefined && entry.channel !== this.place.channel) this.sidebar.draw();
    else this.panes.changed(entry);
  }

  async refreshChannels() {
    const state = await get("state", { user: this.user });
    this.store.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
    this.sidebar.draw();
    this.panes.draw();
  }

  async openDm(other) {
    const { channel } = await post("dm", { user: this.user, with: other });
    await this.refreshChannels();
    await this.go(channel);
  }

  async join(channel) {
    await post("join", { user: this.user, channel });
    await this.refreshChannels();
  }

  names() {
    const people = [...this.store.users.values()].flatMap((user) => [
      { token: `@${user.real_name}`, label: user.profile?.title ?? "", wire: `<@${user.id}>` },
      { token: `@${user.name}`, label: user.real_name, wire: `<@${user.id}>` },
    ]);
    const groups = [...this.store.groups.values()].map((group) => (
      { token: `@${group.handle}`, label: group.name, wire: `<!subteam^${group.id}>` }
    ));
    const channels = [...this.store.channels.values()].filter((c) => c.kind !== "im").map((channel) => (
      { token: `#${channel.name}`, label: channel.purpose, wire: `<#${channel.id}|${channel.name}>` }
    ));
    return [...people, ...groups, ...channels];
  }

  async say(text, thread) {
    const place = { user: this.user, channel: this.place.channel };
    try {
      const command = text.match(/^(\/[a-z][a-z-]*)(?:\s+([\s\S]*))?$/);
      if (command && thread) throw new Error(`${command[1]} does not work in threads; use the channel.`);
      if (command) {
        const answer = await post("commands", { ...place, command: command[1], text: command[2] ?? "" });
        this.warn(answer);
      } else {
        const said = await post("messages", { ...place, text, thread_ts: thread });
        const toApp = this.isAppDm(place.channel) || text.includes(`<@${this.store.app.user}>`);
        if (toApp && !thread && this.place.channel === place.channel) await this.openThread(said.ts);
      }
    } catch (error) {
      toast(error.message);
      throw error;
    }
  }

  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      toast(error.message);
      return null;
    }
  }

  warn(answer) {
    if (answer && !answer.acked) toast(`The app did not answer (${answer.reason}).`);
  }

  async act(message, block, element, value, source) {
    if (element.type === "feedback_buttons") {
      this.store.clicks.set(`${this.user}/${message.ts}/${element.action_id}`, value);
      this.panes.changed({ kind: "message_changed", message });
    }
    source?.classList.add("pressed");
    const place = { user: this.user, channel: this.place.channel, ts: message.ts };
    const what = { block_id: block.block_id, action_id: element.action_id, value };
    this.warn(await this.attempt(() => post("actions", { ...place, ...what })));
    source?.classList.remove("pressed");
  }

  async actInHome(block, element, value, values) {
    const what = { block_id: block.block_id, action_id: element.action_id, value, values };
    const body = { user: this.user, view_id: this.store.home.id, ...what };
    this.warn(await this.attempt(() => post("views/actions", body)));
  }

  chosen(message, element) {
    return this.store.clicks.get(`${this.user}/${message.ts}/${element.action_id}`);
  }

  react(message, name, present) {
    const place = { user: this.user, channel: this.place.channel, ts: message.ts };
    return this.attempt(() => post("reactions", { ...place, name, present }));
  }

  async shortcut(message, shortcut) {
    const place = { user: this.user, channel: this.place.channel, ts: message.ts };
    this.warn(await this.attempt(() => post("shortcuts", { ...place, callback_id: shortcut.callback_id })));
  }

  edit(message) {
    const place = { user: this.user, channel: this.place.channel, ts: message.ts };
    this.panes.edit(message, typed(message.text, this.names()), (text) =>
      this.attempt(() => post("messages/edit", { ...place, text: wire(text, this.names()) })),
    );
  }

  async remove(message) {
    if (!window.confirm("Delete this message?")) return;
    const place = { user: this.user, channel: this.place.channel, ts: message.ts };
    await this.attempt(() => post("messages/delete", place));
  }

  async stop(thread) {
    await this.attempt(() => post("stop", { user: this.user, channel: this.place.channel, thread_ts: thread }));
  }
}

const app = new App();
app.start().catch((error) => toast(`The sandbox could not be read: ${error.message}`));

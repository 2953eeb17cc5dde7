// The conversation in the middle and the thread at the right.

import { Composer } from "./composer.js";
import { fill, h } from "./dom.js";
import { Form } from "./forms.js";
import { day, MessageView } from "./messages.js";

export class Panes {
  constructor(app) {
    this.app = app;
    this.main = document.getElementById("main");
    this.aside = document.getElementById("thread");
    this.shell = document.getElementById("shell");
    this.composers = new Map();
    this.view = new MessageView({
      user: (id) => app.store.users.get(id),
      me: () => app.user,
      text: app.text,
      blocks: app.blocks,
      shortcuts: () => app.store.shortcuts,
      act: (...args) => app.act(...args),
      chosen: (...args) => app.chosen(...args),
      react: (...args) => app.react(...args),
      openThread: (ts) => app.openThread(ts),
      shortcut: (...args) => app.shortcut(...args),
      edit: (message) => app.edit(message),
      remove: (message) => app.remove(message),
    });
  }

  draw({ scroll = false, focus = false } = {}) {
    const { store, place, user } = this.app;
    const channel = store.channels.get(place.channel);
    const isHome = place.tab === "home";
    const typing = document.activeElement;
    this.list = h("div", { class: "messages", role: "log", "aria-label": "Messages", tabindex: 0 });
    this.status = h("div", { class: "status", role: "status", "aria-live": "polite" });
    const joined = channel.members.includes(user);
    this.composer = joined && !isHome ? this.#composer(channel, null) : null;
    this.prompts = isHome ? null : this.#prompts(channel);
    const join = h("button", { type: "button", class: "button primary", onclick: () => this.app.join(channel.id) }, "Join channel");
    fill(
      this.main,
      this.#header(channel),
      isHome ? this.#home() : this.list,
      this.prompts,
      isHome ? null : this.status,
      this.composer?.element ?? (isHome ? null : h("div", { class: "join" }, join)),
    );
    if (!isHome) this.#fillMain();
    this.#thread(channel, joined);
    this.#statuses();
    if (scroll) {
      this.list.scrollTop = this.list.scrollHeight;
      if (this.replies) this.replies.scrollTop = this.replies.scrollHeight;
    }
    if (focus === "thread") this.reply?.focus();
    else if (focus) this.composer?.focus();
    else if (typing?.isConnected) typing.focus();
  }

  // Redraws only what a change touches, so that nothing typed is lost.
  changed(entry) {
    if (entry.kind === "status") return this.#statuses();
    if (entry.kind === "view") {
      if (this.app.place.tab === "home") this.draw();
      return undefined;
    }
    if (this.app.place.tab === "home") return undefined;
    if (entry.kind === "prompts") return this.#suggestAnew();
    keepAtBottom(this.list, () => this.#update(this.list, entry, false));
    if (this.replies) keepAtBottom(this.replies, () => this.#update(this.replies, entry, true));
    return undefined;
  }

  #suggestAnew() {
    this.prompts?.remove();
    this.prompts = this.#prompts(this.app.store.channels.get(this.app.place.channel));
    if (this.prompts) this.status.before(this.prompts);
  }

  // Turns a message into a field with its text; `save(text)` gets what the person made of it.
  edit(message, text, save) {
    for (const list of [this.list, this.replies]) {
      const body = list?.querySelector(`[data-ts="${message.ts}"] .rich`);
      if (!body) continue;
      const box = h("textarea", { rows: 3, "aria-label": "Edit message", value: text });
      const cancel = () => form.replaceWith(body);
      const form = h(
        "form",
        {
          class: "edit",
          onsubmit: (event) => {
            event.preventDefault();
            cancel();
            if (box.value.trim() && box.value !== text) save(box.value.trim());
          },
          onkeydown: (event) => {
            if (event.key === "Escape") cancel();
            if (event.key === "Enter" && !event.shiftKey) {
              event.preventDefault();
              form.requestSubmit();
            }
          },
        },
        box,
        h("button", { type: "button", class: "button", onclick: cancel }, "Cancel"),
        h("button", { type: "submit", class: "button primary" }, "Save"),
      );
      body.replaceWith(form);
      box.focus();
      return;
    }
  }

  #update(list, entry, inThread) {
    const shown = entry.message && list.querySelector(`[data-ts="${entry.message.ts}"]`);
    if (entry.kind === "message_changed" && shown) {
      const compact = shown.classList.contains("compact");
      const fresh = this.view.render(entry.message, { inThread, compact });
      const focused = shown.contains(document.activeElement) ? document.activeElement.dataset : null;
      shown.replaceWith(fresh);
      if (focused?.action) {
        const side = focused.side ? `[data-side="${focused.side}"]` : "";
        fresh.querySelector(`[data-action="${focused.action}"]${side}`)?.focus();
      }
      return;
    }
    if (inThread) this.#fillThread();
    else this.#fillMain();
  }

  #header(channel) {
    const { store, user, place } = this.app;
    const title = store.title(channel, user);
    const mark = { channel: "#", group: "🔒", im: "" }[channel.kind];
    const tab = (name, label) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          "aria-selected": String(place.tab === name),
          onclick: () => this.app.go(channel.id, { tab: name }),
        },
        label,
      );
    const tabs = this.app.isAppDm(channel.id)
      ? h("div", { class: "tabs", role: "tablist" }, tab("home", "Home"), tab("messages", "Messages"))
      : null;
    const people = channel.kind === "im" ? null : h("span", { class: "members" }, `👥 ${channel.members.length}`);
    return h(
      "header",
      { class: "main-head" },
      h("h1", {}, mark ? `${mark} ${title}` : title),
      h("span", { class: "purpose" }, channel.purpose),
      people,
      tabs,
    );
  }

  #fillMain() {
    const { store, place } = this.app;
    const messages = store.top(place.channel);
    const hint = this.app.isAppDm(place.channel) ? "Ask anything." : `Say something, or mention @${store.app.name}.`;
    const empty = h("p", { class: "empty" }, `Nothing here yet. ${hint}`);
    fill(this.list, messages.length ? this.#rows(messages, false) : empty);
  }

  #fillThread() {
    const { store, place } = this.app;
    fill(this.replies, this.#rows(store.thread(place.channel, place.thread), true));
  }

  #rows(messages, inThread) {
    const rows = [];
    let last = null;
    for (const message of messages) {
      const newDay = !last || day(last.ts) !== day(message.ts);
      if (newDay && !inThread) rows.push(h("div", { class: "day", role: "separator" }, h("span", {}, day(message.ts))));
      const near = last && Number(message.ts) - Number(last.ts) < 300;
      const plain = !message.is_ephemeral && !message.bot_id && !last?.is_ephemeral;
      const compact = Boolean(near && plain && !newDay && last.user === message.user && !last.reply_count);
      rows.push(this.view.render(message, { inThread, compact }));
      last = message;
    }
    return rows;
  }

  // One for each place and person, so that what is typed outlives every redrawing.
  #composer(channel, thread) {
    const key = [this.app.user, channel.id, thread].join();
    if (!this.composers.has(key)) this.composers.set(key, this.#newComposer(channel, thread));
    return this.composers.get(key);
  }

  #newComposer(channel, thread) {
    const title = this.app.store.title(channel, this.app.user);
    const where = channel.kind === "im" ? title : `#${title}`;
    return new Composer({
      label: thread ? "Reply in thread" : `Message ${where}`,
      placeholder: thread ? "Reply…" : `Message ${where}`,
      names: () => this.app.names(),
      commands: () => (thread ? [] : this.app.store.commands),
      send: (text) => this.app.say(text, thread ?? undefined),
    });
  }

  #thread(channel, joined) {
    const { place } = this.app;
    this.replies = null;
    this.reply = null;
    this.aside.hidden = !place.thread || place.tab === "home";
    this.shell.classList.toggle("with-thread", !this.aside.hidden);
    if (this.aside.hidden) return;
    this.replies = h("div", { class: "messages", role: "log", "aria-label": "Thread messages", tabindex: 0 });
    this.replyStatus = h("div", { class: "status", role: "status", "aria-live": "polite" });
    this.reply = joined ? this.#composer(channel, place.thread) : null;
    fill(
      this.aside,
      h(
        "header",
        { class: "main-head" },
        h("h2", {}, "Thread"),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close thread", onclick: () => this.app.closeThread() }, "✕"),
      ),
      this.replies,
      this.replyStatus,
      this.reply?.element,
    );
    this.#fillThread();
  }

  #statuses() {
    const { store, place } = this.app;
    const here = [...store.statuses.values()].filter((s) => s.channel === place.channel);
    const line = (status) =>
      h(
        "span",
        { class: "thinking" },
        h("span", { class: "pulse", "aria-hidden": true }),
        `${store.app.name} ${status.status || "is working…"}`,
        status.session === "processing"
          ? h("button", { type: "button", class: "stop", onclick: () => this.app.stop(status.thread_ts) }, "Stop")
          : null,
      );
    if (this.status) fill(this.status, here.slice(-1).map(line));
    if (this.replies) fill(this.replyStatus, here.filter((s) => s.thread_ts === place.thread).map(line));
  }

  #prompts(channel) {
    const offer = this.app.store.prompts.get(channel.id);
    if (!offer) return null;
    const chips = offer.prompts.map((prompt) =>
      h("button", { type: "button", class: "chip", onclick: () => this.app.say(prompt.message) }, prompt.title),
    );
    return h("div", { class: "prompts" }, offer.title ? h("span", {}, offer.title) : null, ...chips);
  }

  #home() {
    const { store } = this.app;
    if (!store.home) return h("div", { class: "home empty" }, `${store.app.name} has not published a home view yet.`);
    const form = new Form(this.app.blocks, () => this.app.people(), (block, element, value) =>
      this.app.actInHome(block, element, value, form.values()),
    );
    const context = {
      act: (block, element, value) => this.app.actInHome(block, element, value, form.values()),
      input: (block) => form.input(block, {}),
      field: (block, element) => form.control(block, element),
    };
    return h("div", { class: "home" }, ...this.app.blocks.all(store.home.blocks, context));
  }
}

function keepAtBottom(list, change) {
  const atBottom = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const top = list.scrollTop;
  change();
  list.scrollTop = atBottom ? list.scrollHeight : top;
}

// Where people type. Enter sends, Shift+Enter breaks the line, @ suggests names.

import { h } from "./dom.js";
import { escape } from "./text.js";

export class Composer {
  // `names()` lists {token, label, wire} that @ and # can name, `commands()` the slash commands;
  // `send(text)` gets wire text.
  constructor({ label, placeholder, names, commands, send }) {
    this.names = names;
    this.commands = commands;
    this.send = send;
    this.list = h("ul", { class: "suggestions", role: "listbox", "aria-label": "Suggestions", hidden: true });
    this.box = h("textarea", {
      rows: 1,
      placeholder,
      "aria-label": label,
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
    });
    this.button = h("button", { type: "submit", class: "send", "aria-label": "Send", title: "Send" }, "➤");
    this.element = h(
      "form",
      {
        class: "composer",
        onsubmit: (event) => {
          event.preventDefault();
          this.#submit();
        },
      },
      this.list,
      this.box,
      this.button,
    );
    this.picked = 0;
  }

  focus() {
    this.box.focus();
  }

  put(text) {
    this.box.value = text;
    this.#changed();
    this.focus();
  }

  #changed() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, 220)}px`;
    if (/^\/[a-z-]*$/.test(this.box.value)) return this.#suggestCommands(this.box.value);
    const match = this.box.value.slice(0, this.box.selectionStart).match(/(?:^|\s)([@#][\w .-]{0,30})$/u);
    const wanted = match?.[1].toLowerCase();
    this.matches = wanted ? this.names().filter((n) => n.token.toLowerCase().startsWith(wanted)).slice(0, 6) : [];
    if (this.matches.some((n) => n.token.toLowerCase() === wanted)) this.matches = [];
    this.fragment = match?.[1] ?? "";
    this.picked = 0;
    return this.#suggest();
  }

  #suggestCommands(typed) {
    this.matches = this.commands()
      .filter((known) => known.command.startsWith(typed) && known.command !== typed)
      .map((known) => ({ token: known.command, label: known.usage_hint || known.description }));
    this.fragment = typed;
    this.picked = 0;
    return this.#suggest();
  }

  #suggest() {
    this.list.hidden = !this.matches.length;
    this.list.replaceChildren(
      ...this.matches.map((name, at) =>
        h(
          "li",
          {
            role: "option",
            "aria-selected": String(at === this.picked),
            onmousedown: (event) => {
              event.preventDefault();
              this.#pick(name);
            },
          },
          h("strong", {}, name.token),
          h("span", { class: "m-time" }, name.label),
        ),
      ),
    );
  }

  #pick(name) {
    const at = this.box.selectionStart;
    const before = this.box.value.slice(0, at - this.fragment.length);
    this.box.value = `${before}${name.token} ${this.box.value.slice(at)}`;
    this.box.selectionStart = this.box.selectionEnd = before.length + name.token.length + 1;
    this.matches = [];
    this.#suggest();
  }

  #key(event) {
    if (this.matches?.length && ["ArrowDown", "ArrowUp", "Tab", "Enter", "Escape"].includes(event.key)) {
      event.preventDefault();
      if (event.key === "Escape") this.matches = [];
      else if (event.key === "ArrowDown") this.picked = (this.picked + 1) % this.matches.length;
      else if (event.key === "ArrowUp") this.picked = (this.picked + this.matches.length - 1) % this.matches.length;
      else return this.#pick(this.matches[this.picked]);
      return this.#suggest();
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    }
  }

  async #submit() {
    const text = this.box.value.trim();
    if (!text) return;
    this.box.value = "";
    this.#changed();
    try {
      await this.send(wire(text, this.names()));
    } catch {
      this.put(text);
    }
  }
}

// What goes over the wire for what a person typed: names become ids, the rest is escaped.
export function wire(text, names) {
  let sent = escape(text);
  for (const name of [...names].sort((a, b) => b.token.length - a.token.length)) {
    const token = escape(name.token).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    sent = sent.replace(new RegExp(`(^|[\\s(])${token}(?![\\w-])`, "giu"), `$1${name.wire}`);
  }
  return sent;
}

// What a person would have typed to get this wire text: for editing.
export function typed(text, names) {
  let plain = text;
  for (const name of names) plain = plain.replaceAll(name.wire, name.token);
  return plain.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

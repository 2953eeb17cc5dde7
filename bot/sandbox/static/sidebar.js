// The left column: who acts, channels, direct conversations.

import { fill, h } from "./dom.js";
import { avatar } from "./messages.js";

export class Sidebar {
  constructor(app) {
    this.app = app;
    this.element = document.getElementById("sidebar");
  }

  draw() {
    const { store, user } = this.app;
    const channels = [...store.channels.values()];
    const rooms = channels.filter((c) => c.kind !== "im").sort((a, b) => a.name.localeCompare(b.name));
    const direct = channels.filter((c) => c.kind === "im" && !c.members.includes(store.app.user));
    fill(
      this.element,
      h(
        "header",
        { class: "side-head" },
        h("strong", { class: "team" }, store.team.name),
        h("span", { class: this.app.online ? "dot on" : "dot", title: this.app.online ? "Live" : "Reconnecting" }),
      ),
      this.#switcher(),
      h("h2", {}, "Apps"),
      h("ul", {}, this.#appItem()),
      h("h2", {}, "Channels"),
      h("ul", {}, ...rooms.map((channel) => this.#item(channel, channel.kind === "group" ? "🔒" : "#"))),
      h("h2", {}, "Direct messages"),
      h("ul", {}, ...direct.map((channel) => this.#item(channel, avatar(this.#other(channel), true)))),
      this.#newDm(direct),
      h(
        "footer",
        {},
        h("button", { type: "button", class: "settings-open", onclick: () => this.app.settings.show() }, "⚙ Workspace settings"),
        h("p", {}, "A local workspace on 127.0.0.1. Nothing here reaches Slack."),
      ),
    );
  }

  #other(channel) {
    return this.app.store.users.get(channel.members.find((id) => id !== this.app.user));
  }

  #switcher() {
    const { store, user } = this.app;
    const me = store.users.get(user);
    return h(
      "label",
      { class: "switcher" },
      avatar(me),
      h(
        "span",
        { class: "switcher-text" },
        h("span", { class: "switcher-label" }, `Acting as · ${me.profile.title}`),
        h(
          "select",
          { id: "acting-as", "aria-label": "Acting as", onchange: (event) => this.app.become(event.target.value) },
          ...this.#byTitle().map(([title, people]) =>
            h(
              "optgroup",
              { label: title },
              ...people.map((person) =>
                h("option", { value: person.id, selected: person.id === user }, person.real_name),
              ),
            ),
          ),
        ),
      ),
    );
  }

  #byTitle() {
    const titles = new Map();
    for (const person of this.app.people()) {
      const title = person.profile.title || "People";
      titles.set(title, [...(titles.get(title) ?? []), person]);
    }
    return [...titles];
  }

  #appItem() {
    const { store, user } = this.app;
    const channel = store.appDm(user);
    const open = () => (channel ? this.app.go(channel.id) : this.app.openDm(store.app.user));
    return this.#entry({
      current: channel?.id === this.app.place.channel,
      unread: channel ? store.unread.get(channel.id) : 0,
      mark: avatar(store.users.get(store.app.user), true),
      name: store.app.name,
      note: this.#standing(),
      open,
    });
  }

  #standing() {
    const { installed, connected } = this.app.store.standing;
    if (!installed) return "not installed";
    return connected ? null : "not connected";
  }

  #item(channel, mark) {
    const { store, user, place } = this.app;
    return this.#entry({
      current: channel.id === place.channel,
      unread: store.unread.get(channel.id),
      mark,
      name: store.title(channel, user),
      open: () => this.app.go(channel.id),
    });
  }

  #entry({ current, unread, mark, name, note, open }) {
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: unread ? "room unread" : "room", "aria-current": current ? "page" : undefined, onclick: open },
        h("span", { class: "room-mark" }, mark),
        h("span", { class: "room-name" }, name),
        note ? h("span", { class: "room-note" }, note) : null,
        unread ? h("span", { class: "count", "aria-label": `${unread} unread` }, unread) : null,
      ),
    );
  }

  #newDm(direct) {
    const { user } = this.app;
    const taken = new Set(direct.flatMap((channel) => channel.members));
    const others = this.app.people().filter((person) => person.id !== user && !taken.has(person.id));
    return h(
      "select",
      {
        class: "new-dm",
        "aria-label": "Start a direct message",
        onchange: (event) => event.target.value && this.app.openDm(event.target.value),
      },
      h("option", { value: "" }, "+ Message someone"),
      ...others.map((person) => h("option", { value: person.id }, person.real_name)),
    );
  }
}

// What an admin changes: whether the app is installed, rate tiers, who is in which group.

import { fill, h, toast } from "./dom.js";
import { get, post } from "./net.js";

export class Settings {
  constructor(app) {
    this.app = app;
    this.dialog = document.getElementById("settings");
  }

  async show() {
    const { tiers } = await get("faults");
    this.#render(tiers);
    this.dialog.showModal();
  }

  #render(tiers) {
    const { store } = this.app;
    const close = () => this.dialog.close();
    fill(
      this.dialog,
      h(
        "form",
        { method: "dialog", class: "settings" },
        h(
          "header",
          {},
          h("h2", { id: "settings-title" }, "Workspace settings"),
          h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: close }, "✕"),
        ),
        h(
          "div",
          { class: "modal-body" },
          h("h3", {}, store.app.name),
          this.#tiers(tiers),
          this.#installation(),
          h("h3", {}, "User groups"),
          ...[...store.groups.values()].map((group) => this.#group(group)),
        ),
      ),
    );
  }

  #group(group) {
    const boxes = this.app.people().map((person) => {
      const box = h("input", { type: "checkbox", value: person.id, checked: group.users.includes(person.id) });
      box.addEventListener("change", () => this.#save(group, boxes.map((row) => row.box)));
      return { box, row: h("label", { class: "tick" }, box, h("span", {}, person.real_name)) };
    });
    return h(
      "fieldset",
      {},
      h("legend", {}, `@${group.handle}`),
      h("div", { class: "ticks" }, ...boxes.map(({ row }) => row)),
    );
  }

  #save(group, boxes) {
    const users = boxes.filter((box) => box.checked).map((box) => box.value);
    return this.#attempt(() => post("groups", { group: group.id, users }));
  }

  #tiers(tiers) {
    const change = (event) => this.#attempt(() => post("faults/tiers", { enforce: event.target.checked }));
    const box = h("input", { type: "checkbox", checked: tiers.enforce, onchange: change });
    return h("label", { class: "tick" }, box, h("span", {}, "Refuse calls above Slack's rate tiers (HTTP 429)"));
  }

  #installation() {
    const { app, standing } = this.app.store;
    if (!standing.installed) {
      return h("p", {}, `${app.name} is not installed. The bot's own /slack/install page brings it back.`);
    }
    const end = (path, question) => async () => {
      if (!window.confirm(question)) return;
      await this.#attempt(() => post(path, {}));
      this.dialog.close();
    };
    return h(
      "div",
      { class: "b-actions" },
      h(
        "button",
        { type: "button", class: "button danger", onclick: end("uninstall", `Take ${app.name} out of this workspace?`) },
        `Uninstall ${app.name}`,
      ),
      h(
        "button",
        { type: "button", class: "button danger", onclick: end("revoke", `Revoke the tokens of ${app.name}?`) },
        "Revoke its tokens",
      ),
    );
  }

  async #attempt(work) {
    try {
      await work();
    } catch (error) {
      this.dialog.close();
      toast(error.message);
    }
  }
}

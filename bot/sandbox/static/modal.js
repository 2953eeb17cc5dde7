// The open modal of the acting person, in a native dialog (focus stays inside, Escape closes).

import { fill, h, toast } from "./dom.js";
import { Form } from "./forms.js";
import { post } from "./net.js";

export class Modal {
  constructor(blocks, people, me) {
    this.dialog = document.getElementById("modal");
    this.blocks = blocks;
    this.people = people;
    this.me = me;
    this.view = null;
    this.form = null;
    this.errors = {};
    this.problem = "";
    this.busy = false;
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
  }

  show(view) {
    if (!view) {
      this.view = null;
      this.form = null;
      this.errors = {};
      if (this.dialog.open) this.dialog.close();
      return;
    }
    if (this.view?.id === view.id && this.view.hash === view.hash) return;
    if (this.view?.id !== view.id) this.form = null;
    this.view = view;
    this.errors = {};
    this.problem = "";
    this.#render();
    if (!this.dialog.open) this.dialog.showModal();
  }

  #render() {
    const view = this.view;
    if (this.form) this.form.renew();
    else this.form = new Form(this.blocks, this.people, (...change) => this.#act(...change));
    const context = {
      act: (block, element, value) => this.#act(block, element, value),
      input: (block) => this.form.input(block, this.errors),
      field: (block, element) => this.form.control(block, element),
    };
    const form = h(
      "form",
      {
        method: "dialog",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.#submit();
        },
        onkeydown: (event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#submit();
        },
      },
      h(
        "header",
        {},
        h("h2", { id: "modal-title" }, this.blocks.text.plain(view.title?.text ?? "")),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => this.close() }, "✕"),
      ),
      h("div", { class: "modal-body" }, ...this.blocks.all(view.blocks, context)),
      h(
        "footer",
        {},
        this.problem ? h("p", { class: "field-error", role: "alert" }, this.problem) : null,
        h("button", { type: "button", class: "button", onclick: () => this.close() }, view.close?.text ?? "Cancel"),
        view.submit ? h("button", { type: "submit", class: "button primary" }, view.submit.text) : null,
      ),
    );
    fill(this.dialog, form);
    const first = ["[aria-invalid]", "[autofocus]", ".modal-body :is(input, textarea, select)"]
      .map((wanted) => this.dialog.querySelector(wanted))
      .find(Boolean);
    first?.focus();
  }

  async #submit() {
    if (this.busy || !this.view?.submit) return;
    this.busy = true;
    this.problem = "";
    this.dialog.classList.add("busy");
    try {
      const body = { user: this.me(), view_id: this.view.id, values: this.form.values() };
      const answer = await post("views/submit", body);
      if (answer.outcome === "errors") {
        this.errors = answer.errors;
        this.#render();
      } else if (answer.outcome === "failed") {
        this.#fail(`We had some trouble connecting (${answer.reason}). Try again?`);
      } else {
        this.show(answer.view);
      }
    } catch (error) {
      this.#fail(error.message);
    } finally {
      this.busy = false;
      this.dialog.classList.remove("busy");
    }
  }

  async #act(block, element, value) {
    const body = { user: this.me(), view_id: this.view.id, block_id: block.block_id, action_id: element.action_id };
    try {
      const answer = await post("views/actions", { ...body, value, values: this.form.values() });
      if (!answer.acked) this.#fail(`The app did not answer (${answer.reason}).`);
    } catch (error) {
      this.#fail(error.message);
    }
  }

  // Says in the modal what went wrong: a note elsewhere would lie behind it.
  #fail(problem) {
    this.problem = problem;
    if (this.view) this.#render();
    else toast(problem);
  }

  async close() {
    if (!this.view) return;
    const body = { user: this.me(), view_id: this.view.id, cleared: this.view.clear_on_close };
    const answer = await post("views/close", body).catch((error) => toast(error.message));
    this.show(answer?.view ?? null);
  }
}

// Tables that sort by a click or a key on a heading, and one filter for all of them. Without scripts the page is whole.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  // Sorting: a cell with data-v sorts by that number, an empty cell last, any other by its text.
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    return cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return a === b ? 0 : undefined;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return collator.compare(a, b);
  };
  function sort(heading) {
    const table = heading.closest("table"), body = table.tBodies[0];
    const descending = heading.getAttribute("aria-sort") === "ascending";
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...body.rows].map((row) => [key(row, heading.cellIndex), row]);
    rows.sort(([a], [b]) => {
      const order = compare(a, b);
      if (order === undefined) return a === "" ? 1 : -1;
      return descending ? -order : order;
    });
    body.append(...rows.map(([, row]) => row));
  }
  all("table.sortable").forEach((table) => {
    all("thead th", table).forEach((heading) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(heading));
      heading.append(button);
    });
  });

  // Filtering: a row stays if it has every word; the rows of a chosen task's section stay.
  const tools = document.getElementById("tools");
  const words = document.getElementById("words"), task = document.getElementById("task");
  const count = document.getElementById("count");
  const rows = all("table.filtered > tbody > tr").map((row) => [
    row, row.textContent.toLowerCase(), row.closest("section"), row.dataset.task ?? row.closest("section").dataset.task,
  ]);
  const sections = all("main > section");
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link.parentElement]));
  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean), only = task.value;
    const left = new Map(sections.map((section) => [section, 0]));
    let shown = 0;
    for (const [row, text, section, ofTask] of rows) {
      row.hidden = !(wanted.every((word) => text.includes(word)) && (!only || ofTask === only));
      if (!row.hidden) {
        shown += 1;
        left.set(section, left.get(section) + 1);
      }
    }
    for (const [section, number] of left) {
      section.hidden = number === 0 && Boolean(wanted.length || only) && Boolean(section.querySelector("table.filtered"));
      const link = links.get(section.id);
      if (link) link.hidden = section.hidden;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  }
  let waiting;
  words.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  });
  task.addEventListener("change", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      words.focus();
    } else if (event.key === "Escape" && document.activeElement === words) {
      words.value = "";
      filter();
    }
  });
  tools.hidden = false;
  filter();
})();

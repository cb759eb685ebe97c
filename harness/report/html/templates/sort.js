"use strict";
// A press on a heading sorts its table: up, down, then as it was.
const collator = new Intl.Collator("en", { numeric: true });
const number = /^[-+−]?\d+(\.\d+)?/;

/* Missing values have no key, and stay last. */
function key(cell, numeric) {
  const text = cell.textContent.trim();
  if (text === "" || text === "–") return null;
  const found = numeric && number.exec(text.replace(/(?<=\d)[\u202f\u00a0](?=\d)/g, ""));
  return found ? Number(found[0].replace("−", "-")) : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === typeof b) return collator.compare(a, b);
  return typeof a === "number" ? -1 : 1;
}

function sorted(rows, column, numeric, sign) {
  const keyed = rows.map((row) => [key(row.cells[column], numeric), row]);
  const known = keyed.filter(([k]) => k !== null).sort(([a], [b]) => sign * compare(a, b));
  return [...known, ...keyed.filter(([k]) => k === null)].map(([, row]) => row);
}

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const order = { ascending: "descending", descending: null }[heading.ariaSort];
      const next = order === undefined ? "ascending" : order;
      for (const other of headings) other.removeAttribute("aria-sort");
      if (next) heading.setAttribute("aria-sort", next);
      const numeric = heading.classList.contains("number");
      const sign = next === "descending" ? -1 : 1;
      body.append(...(next ? sorted(original, column, numeric, sign) : original));
    });
  });
}

"use strict";
// Pages work without this file; with it tables sort, and SQL is copied by a button and sent by Ctrl-Enter.
for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0];
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (!body || body.rows.length < 2) continue;
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const isUp = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      const worth = (row) => {
        const cell = row.cells[place];
        const exact = cell.querySelector("data");
        return exact ? Number(exact.value) : head.classList.contains("n") ? -Infinity : cell.textContent.trim();
      };
      const order = (one, other) =>
        typeof one === "number" ? one - other : one.localeCompare(other, undefined, { numeric: true });
      const rows = [...body.rows].map((row) => [worth(row), row]);
      rows.sort((one, other) => (isUp ? order(one[0], other[0]) : order(other[0], one[0])));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}
for (const shown of document.querySelectorAll("details.sql pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(shown.textContent);
    button.textContent = "Copied";
  });
  shown.before(button);
}
const box = document.querySelector(".sql-box textarea");
if (box) {
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      box.form.requestSubmit();
    }
  });
}

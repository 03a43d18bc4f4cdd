"use strict";
// Pages work without this file; with it tables sort, a bar shows its figure at once and the bars of its name, and SQL is
// copied by a button and sent by Ctrl-Enter.
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
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
for (const chart of document.querySelectorAll(".chart")) {
  if (!tip.parentNode) document.body.append(tip);
  // The figure is taken from the title, which the browser would show late, and a second time.
  const bars = [...chart.querySelectorAll("a path title")].map((title) => {
    const said = title.textContent;
    const path = title.parentNode;
    title.remove();
    return { link: path.parentNode, path, said, fill: path.getAttribute("fill") };
  });
  for (const bar of bars) {
    bar.link.addEventListener("pointermove", (event) => {
      tip.textContent = bar.said;
      tip.hidden = false;
      const { width, height } = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 4))}px`;
      tip.style.top = `${event.clientY - height - 10 < 0 ? event.clientY + 18 : event.clientY - height - 10}px`;
      for (const other of bars) other.link.classList.toggle("dim", other.fill !== bar.fill);
    });
    bar.link.addEventListener("pointerleave", () => {
      tip.hidden = true;
      for (const other of bars) other.link.classList.remove("dim");
    });
  }
}

"use strict";
// Pages work without this file; with it tables sort, a mark of a chart shows its figure at once and those of its name, and SQL is
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
tip.setAttribute("role", "status");
tip.hidden = true;
for (const chart of document.querySelectorAll(".chart")) {
  if (!tip.parentNode) document.body.append(tip);
  // The figure is taken from the title, which the browser would show late, and a second time.
  const marks = [...chart.querySelectorAll("path > title")].map((title) => {
    const said = title.textContent;
    const path = title.parentNode;
    title.remove();
    return { held: path.closest("a") || path, path, said, fill: path.getAttribute("fill") };
  });
  let shown = -1;
  const show = (place, x, y) => {
    shown = place;
    const mark = marks[place];
    tip.textContent = mark.said;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
    tip.style.top = `${y - height - 10 < 0 ? y + 18 : y - height - 10}px`;
    for (const other of marks) other.held.classList.toggle("dim", other.fill !== mark.fill);
  };
  const hide = () => {
    shown = -1;
    tip.hidden = true;
    for (const other of marks) other.held.classList.remove("dim");
  };
  marks.forEach((mark, place) => {
    mark.held.addEventListener("pointermove", (event) => show(place, event.clientX, event.clientY));
    mark.held.addEventListener("pointerleave", hide);
  });
  // The chart is one stop of the keyboard: arrows go from figure to figure, Enter follows.
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    else if (event.key === "Enter" && shown >= 0 && marks[shown].held.href) location.href = marks[shown].held.href.baseVal;
    else if (step && marks.length) {
      event.preventDefault();
      const place = shown < 0 && step < 0 ? marks.length - 1 : (shown + step + marks.length) % marks.length;
      marks[place].path.scrollIntoView({ block: "nearest", inline: "nearest" });
      const box = marks[place].path.getBoundingClientRect();
      show(place, box.left + box.width / 2, box.top);
    }
  });
  chart.addEventListener("blur", hide);
}

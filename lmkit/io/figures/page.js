"use strict";
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column] ? row.cells[column].textContent : "";
    const number = text => text.trim() === "" ? NaN : Number(text.replaceAll(",", ""));
    const order = (a, b) => {
      const [m, n] = [number(key(a)), number(key(b))];
      if (Number.isNaN(m) !== Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1;
      return (down ? -1 : 1) * (Number.isNaN(m) ? key(a).localeCompare(key(b)) : m - n);
    };
    body.append(...[...body.rows].sort(order));
  }));
}

// The table of claims: sort by a column, keep one verdict, search. Without this script it is a plain table.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("table.claims");
  if (!table) return;
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells];
  const text = (row, column) => row.cells[column].textContent.trim();
  const verdictOf = (row) => row.cells[2].querySelector("strong").textContent;
  heads.forEach((head) => (head.scope = "col"));
  // On a narrow screen each row becomes a card, and a cell carries its column's name. The roles keep it a table there.
  table.setAttribute("role", "table");
  rows.forEach((row) => {
    row.setAttribute("role", "row");
    [...row.cells].forEach((cell, k) => {
      cell.setAttribute("role", "cell");
      cell.dataset.label = heads[k].textContent.trim();
    });
  });

  const controls = document.createElement("form");
  controls.className = "claims-controls";
  const verdicts = [...new Set(rows.map(verdictOf))];
  controls.innerHTML =
    `<label>Verdict <select><option value="">all</option>` +
    verdicts.map((verdict) => `<option>${verdict}</option>`).join("") +
    `</select></label> <label>Contains <input type="search" autocomplete="off"></label>` +
    ` <output aria-live="polite"></output>`;
  const [select, search, shown] = controls.querySelectorAll("select, input, output");
  const filter = () => {
    const words = search.value.toLowerCase();
    rows.forEach((row) => {
      const wanted = !select.value || verdictOf(row) === select.value;
      row.hidden = !(wanted && row.textContent.toLowerCase().includes(words));
    });
    shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
  };
  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  (table.closest(".pst-scrollable-table-container") || table).before(controls);
  filter();

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = new Intl.Collator("en", { numeric: true });
      rows.sort((a, b) => (up ? 1 : -1) * order.compare(text(a, column), text(b, column)));
      table.tBodies[0].append(...rows);
    });
  });
});

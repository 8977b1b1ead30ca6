// What scrolls inside itself can be reached from the keyboard, and a pressed button keeps the focus.
(() => {
  const scrolls = "mjx-container, pre, figure, .cell_output, .output, .pst-scrollable-table-container, .math";
  const wide = (part) => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX != "visible";
  // Told of every size, first and changed, when the browser knows it: a solution has none before it is opened.
  const sizes = new ResizeObserver((changes) => {
    const reachable = changes.map((change) => change.target).filter(wide);
    reachable.forEach((part) => (part.tabIndex = 0)); // after all were measured, so that the page is laid out once
  });
  document.querySelectorAll(scrolls).forEach((part) => sizes.observe(part));
  // The theme takes the focus from a button that was pressed; who presses keys would have to start again from the top.
  const stay = ({ currentTarget }) => setTimeout(() => currentTarget.focus());
  document.querySelectorAll(".theme-switch-button").forEach((button) => button.addEventListener("click", stay));
})();

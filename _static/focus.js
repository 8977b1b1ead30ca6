// What scrolls inside itself can be reached from the keyboard, and a pressed button keeps the focus.
(() => {
  const scrolls = "mjx-container, pre, figure, .cell_output, .output, .pst-scrollable-table-container, .math";
  const reach = () =>
    document.querySelectorAll(scrolls).forEach((part) => {
      if (part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX != "visible") part.tabIndex = 0;
    });
  const afterMath = () => (window.MathJax && MathJax.startup ? MathJax.startup.promise.then(reach) : reach());
  // The theme takes the focus from a button that was pressed; who presses keys would have to start again from the top.
  const stay = ({ currentTarget }) => setTimeout(() => currentTarget.focus());
  document.querySelectorAll(".theme-switch-button").forEach((button) => button.addEventListener("click", stay));
  window.addEventListener("load", afterMath);
  window.addEventListener("resize", reach);
})();

// A part of the page follows the ledger while its operation is under way.
const part = document.querySelector("[data-changes]");
if (part) {
  const source = new EventSource(part.dataset.changes);
  source.addEventListener("state", (event) => { part.innerHTML = event.data; });
  source.addEventListener("over", () => source.close());
}

// <button type="button" data-copy="id" hidden> copies the text of what it names;
// without this script, or where there is no clipboard, it stays hidden.
const seen = 2_000; // milliseconds

for (const button of navigator.clipboard ? document.querySelectorAll("button[data-copy]") : []) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy.replace("#", ""));
    const done = await navigator.clipboard.writeText(source.value ?? source.textContent.trim()).then(() => "Copied", () => "Select it to copy");
    button.textContent = done;
    setTimeout(() => (button.textContent = label), seen);
  });
  button.hidden = false;
}

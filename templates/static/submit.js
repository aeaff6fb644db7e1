// A form is sent once: its button says what happens and takes no second press.
// The button is not disabled, or its name and value would be missing.
const patience = 10_000; // milliseconds until one may try again on a page that is still here

const release = (form) => {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[aria-disabled]")) {
    button.removeAttribute("aria-disabled");
    if (button.dataset.label) button.textContent = button.dataset.label;
  }
};

let sent = false;

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    sent = true;
    setTimeout(() => release(form), patience);
    const button = event.submitter;
    if (!button) return;
    button.setAttribute("aria-disabled", "true");
    if (button.dataset.busy) {
      button.dataset.label ??= button.textContent;
      button.textContent = button.dataset.busy;
    }
  });
}

// Coming back by the back button finds the page as it was left. One that has sent its form
// is out of date, and is asked for anew: by GET, whatever it came by.
addEventListener("pageshow", (event) => {
  if (event.persisted && sent) location.replace(location.href);
  document.querySelectorAll("form[data-sent]").forEach(release);
});

// The page of the brand: a preview while typing, and the logo as a data: URL, for
// forms here carry text alone.
const most = 32 << 10; // bytes
const form = document.getElementById("brand");
const preview = document.querySelector(".preview");
const file = document.getElementById("logo-file");

form.elements.name.addEventListener("input", (event) => {
  document.getElementById("preview-name").textContent = event.target.value || "Sallyport";
});

// The text on the colour is the lighter or the darker one, whichever reads better;
// the server works out the rest when it is saved.
form.elements.color?.addEventListener("input", (event) => {
  const parts = event.target.value.match(/[0-9a-f]{2}/gi).map((hex) => parseInt(hex, 16) / 255);
  const [r, g, b] = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  preview.style.setProperty("--accent", event.target.value);
  preview.style.setProperty("--accent-edge", event.target.value);
  preview.style.setProperty("--accent-text", light > 0.179 ? "#000000" : "#ffffff");
});

const tell = (sentence) => {
  const note = document.getElementById("logo-error") ?? document.createElement("p");
  note.id = "logo-error";
  note.className = "field-error";
  note.setAttribute("role", "alert");
  note.textContent = sentence;
  file.after(note);
  file.setAttribute("aria-invalid", "true");
  file.setCustomValidity(sentence); // the form is not sent: "Saved" would be about another logo
};

const show = (url) => {
  form.elements.logo.value = url;
  const picture = document.getElementById("preview-logo") ?? document.createElement("img");
  picture.className = "brand-logo";
  picture.id = "preview-logo";
  picture.alt = "";
  picture.src = url;
  preview.querySelector(".brand").prepend(picture);
  preview.querySelector(".mark")?.remove();
  document.getElementById("preview-name").hidden = true;
  document.getElementById("logo-error")?.remove();
  file.removeAttribute("aria-invalid");
};

if (file) {
  file.disabled = false;
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    form.elements.logo.value = "";
    file.setCustomValidity("");
    if (!chosen) return;
    if (chosen.size > most) return tell("This file is larger than 32 KiB. Save it smaller, or as SVG.");
    const reader = new FileReader();
    reader.addEventListener("load", () => show(reader.result));
    reader.addEventListener("error", () => tell("This file cannot be read."));
    reader.readAsDataURL(chosen);
  });
}

// Passkeys and security keys:
//   <form method="post" action="…" data-webauthn="get|create" data-begin="…" [data-conditional]>
//     hidden fields csrf and credential, a submit button that is hidden
// POST csrf to data-begin answers {"publicKey": …} or {"error": "A sentence."}; what the
// authenticator says to it goes into credential, and the form is sent. data-conditional
// offers passkeys in the email field. [data-webauthn-missing] hides when this works.
const refresh = 240_000; // milliseconds; a challenge counts for five minutes
const sentences = {
  InvalidStateError: "This passkey or security key is set up already.",
  NotAllowedError: "The passkey was not used. Try again, or go on without it.",
  SecurityError: "Passkeys do not work at this address.",
};
const failed = "The passkey could not be asked for. Load the page again.";

const encode = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const decode = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

// The conversions of WebAuthn level 3, for browsers that lack them.
const read = (kind, json) => {
  const parse = kind === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  if (PublicKeyCredential[parse]) return PublicKeyCredential[parse](json);
  const bytes = (o, name) => ({ ...o, [name]: decode(o[name]) });
  const options = bytes(json, "challenge");
  if (json.user) options.user = bytes(json.user, "id");
  for (const list of ["allowCredentials", "excludeCredentials"]) options[list] = json[list]?.map((c) => bytes(c, "id")) ?? [];
  return options;
};
const write = (c) => {
  if (c.toJSON) return c.toJSON();
  const response = { transports: c.response.getTransports?.() };
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (c.response[part]) response[part] = encode(c.response[part]);
  return { id: c.id, rawId: c.id, type: c.type, response, clientExtensionResults: c.getClientExtensionResults() };
};

let running; // a browser bears one ceremony at a time

const ceremony = async (form, mediation) => {
  running?.abort();
  const { signal } = (running = new AbortController());
  const body = new URLSearchParams({ csrf: form.elements.csrf.value });
  const answer = await fetch(form.dataset.begin, { method: "POST", body, signal });
  const { publicKey, error } = await answer.json();
  if (!publicKey) throw { sentence: error.includes(" ") && error };
  const kind = form.dataset.webauthn;
  const credential = await navigator.credentials[kind]({ publicKey: read(kind, publicKey), signal, ...(mediation && { mediation }) });
  form.elements.credential.value = JSON.stringify(write(credential));
  form.submit();
};

const offer = async (form) => {
  const late = setTimeout(() => running.abort("late"), refresh);
  const error = await ceremony(form, "conditional").catch((e) => e);
  clearTimeout(late);
  if (error === "late") offer(form);
};

const tell = (form, button, sentence) => {
  delete form.dataset.sent; // submit.js: it may be pressed again
  button.removeAttribute("aria-disabled");
  const note = form.querySelector(".webauthn-error") ?? document.createElement("p");
  note.className = "note note-danger webauthn-error";
  note.setAttribute("role", "alert");
  form.prepend(note);
  note.textContent = sentence;
};

const prepare = async (form) => {
  const button = form.querySelector("button");
  button.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ceremony(form).catch((e) => e.name !== "AbortError" && tell(form, button, e.sentence || sentences[e.name] || failed));
  });
  if ("conditional" in form.dataset && (await PublicKeyCredential.isConditionalMediationAvailable?.())) offer(form);
};

if (globalThis.PublicKeyCredential) {
  document.querySelectorAll("[data-webauthn-missing]").forEach((e) => (e.hidden = true));
  document.querySelectorAll("form[data-webauthn]").forEach(prepare);
}

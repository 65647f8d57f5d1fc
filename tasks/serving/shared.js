"use strict";
const $ = id => document.getElementById(id);

function element(name, text, more = {}) {
  const made = Object.assign(document.createElement(name), more);
  if (text !== undefined) made.textContent = text;
  return made;
}

async function ask(method, address, body) {
  const json = body !== undefined && !(body instanceof Blob);
  const answer = await fetch(address, { method, body: json ? JSON.stringify(body) : body,
    headers: json ? { "content-type": "application/json" } : {} })
    .catch(() => { throw new Error("the app does not answer; is it still running?"); });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `the app answered with ${answer.status}`);
  return told;
}

function complain(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

// a field that files are dropped on, or chosen in

function dropField(kind, chosen) {
  const drop = $(`${kind}-drop`);
  $(kind).addEventListener("change", () => chosen($(kind).files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) drop.addEventListener(name, event => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") chosen(event.dataTransfer.files[0]);
  });
}

async function handIn(kind, file, most) {  // what the app says of the file; null: it was not taken
  const drop = $(`${kind}-drop`), say = text => { drop.querySelector("small").textContent = text; };
  complain(null);
  drop.classList.remove("ready");
  drop.querySelector("b").textContent = file.name;
  say("is being handed in");
  try {
    if (file.size > most) throw new Error(`${file.name} is too large; at most ${most >> 20} MB are taken here`);
    const told = await ask("PUT", `/files/${kind}/${encodeURIComponent(file.name)}`, file);
    drop.classList.add("ready");
    say("ready");
    return told;
  } catch (error) {
    say("was not taken");
    complain(error);
    return null;
  }
}

function offerCheckpoints(checkpoints) {
  for (const [name, about] of Object.entries(checkpoints))
    $("checkpoint").append(element("option", name, { value: name, title: about }));
  const hint = () => { $("checkpoint-hint").textContent = checkpoints[$("checkpoint").value] || ""; };
  $("checkpoint").addEventListener("change", hint);
  hint();
  if (!Object.keys(checkpoints).length) throw new Error("there is no checkpoint here yet; make one with dvc repro");
}

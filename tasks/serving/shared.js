"use strict";
const $ = id => document.getElementById(id);

function element(name, text, more = {}) {
  const node = Object.assign(document.createElement(name), more);
  if (text !== undefined) node.textContent = text;
  return node;
}

async function ask(method, address, body) {
  const json = body !== undefined && !(body instanceof Blob);
  const answer = await fetch(address, { method, body: json ? JSON.stringify(body) : body,
    headers: json ? { "content-type": "application/json" } : {} })
    .catch(() => { throw new Error("the app does not answer; is it still running?"); });
  const fields = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(fields.error || `the app answered with ${answer.status}`);
  return fields;
}

function showError(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

// an input for a file: drop it or choose it

function dropField(kind, chosen) {
  const drop = $(`${kind}-drop`);
  $(kind).addEventListener("change", () => chosen($(kind).files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) drop.addEventListener(name, event => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") chosen(event.dataTransfer.files[0]);
  });
}

async function upload(kind, file, most) {  // the app's answer; null where the file is refused
  const drop = $(`${kind}-drop`), say = text => { drop.querySelector("small").textContent = text; };
  showError(null);
  drop.classList.remove("ready");
  drop.querySelector("b").textContent = file.name;
  say("uploading");
  try {
    if (file.size > most) throw new Error(`${file.name} is too large; the limit here is ${most >> 20} MB`);
    const answer = await ask("PUT", `/files/${kind}/${encodeURIComponent(file.name)}`, file);
    drop.classList.add("ready");
    say("ready");
    return answer;
  } catch (error) {
    say("refused");
    showError(error);
    return null;
  }
}

function offerCheckpoints(checkpoints) {
  for (const [name, about] of Object.entries(checkpoints))
    $("checkpoint").append(element("option", name, { value: name, title: about }));
  const hint = () => { $("checkpoint-hint").textContent = checkpoints[$("checkpoint").value] || ""; };
  $("checkpoint").addEventListener("change", hint);
  hint();
  if (!Object.keys(checkpoints).length) throw new Error("there is no checkpoint yet; make one with dvc repro");
}

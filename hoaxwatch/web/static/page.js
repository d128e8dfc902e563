// A picture of the page as PNG: the same address as the SVG, painted at twice its size.
for (const button of document.querySelectorAll("button[data-png]")) {
  button.addEventListener("click", async () => {
    const picture = new Image();
    picture.src = button.dataset.png;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * picture.width;
    canvas.height = 2 * picture.height;
    const paint = canvas.getContext("2d");
    paint.fillStyle = "#fff";
    paint.fillRect(0, 0, canvas.width, canvas.height);
    paint.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const save = document.createElement("a");
    save.href = canvas.toDataURL("image/png");
    save.download = `${new URL(button.dataset.png, location).pathname.slice(1, -4)}.png`;
    save.click();
  });
}

// Star buttons, cards and the map: one listener for all of them. What was clicked goes to the server as an event.
element.addEventListener('click', (event) => {
  const target = event.target.closest('[data-act]');
  if (!target || !element.contains(target)) return;
  const data = { act: target.dataset.act, id: target.dataset.id || '', stars: 0 };
  if (data.act === 'rate') {
    const box = target.getBoundingClientRect();
    // A key press has no place (detail 0): it gives the whole star.
    const half = event.detail > 0 && event.clientX - box.left < box.width / 2 ? 0.5 : 0;
    data.stars = Number(target.dataset.stars) - half;
    for (const button of target.parentElement.children) {
      const fill = Math.max(0, Math.min(1, data.stars - (Number(button.dataset.stars) - 1)));
      button.querySelector('.rc-on').style.clipPath = `inset(0 ${100 - 100 * fill}% 0 0)`;
    }
  }
  if (data.act === 'dismiss') target.closest('li').style.opacity = 0.35;
  trigger('click', data);
});

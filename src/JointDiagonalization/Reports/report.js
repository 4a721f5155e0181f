for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const rising = head.ariaSort === 'descending';
      heads.forEach(h => h.ariaSort = null);
      head.ariaSort = rising ? 'ascending' : 'descending';
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => isNaN(key(a)) ? key(a).localeCompare(key(b)) : key(a) - key(b);
      const rows = [...table.tBodies[0].rows].sort((a, b) => rising ? order(a, b) : order(b, a));
      table.tBodies[0].append(...rows);
    });
  });
}

"""Which words and phones are said when: English text aligned to its recording."""

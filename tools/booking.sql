-- The table of README.md and docs/embeddings.md: how three guests of a hotel typed when they come, and what they ask for.
-- Embeddings come beside it where there is an encoder (tools/demo_search.py).
CREATE TABLE IF NOT EXISTS booking (guest text, arrives text, body text, embedding bytea);

INSERT INTO booking (guest, arrives, body)
SELECT guest, arrives, body
FROM (
    VALUES
    ('Ada', '3rd of March ''24', 'Grandmother walks with a stick. A room on the ground floor, please.'),
    ('Ben', '31.12.2023', 'Our flight lands after midnight. We hope that somebody will open the door.'),
    ('Cleo', 'Feb 30, 2024', 'We bring two dogs. They bark at strangers.')
) AS v (guest, arrives, body)
WHERE NOT EXISTS (SELECT FROM booking);

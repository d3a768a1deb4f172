-- What the company does not keep any more is deleted: of a session there stay its
-- times, who worked, where its record ended, and the host's signed last word.
ALTER TABLE session ADD COLUMN pruned INTEGER; -- when, unix microseconds

DROP TRIGGER entry_no_delete;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry WHEN (SELECT pruned FROM session WHERE id = OLD.session) IS NULL
BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;

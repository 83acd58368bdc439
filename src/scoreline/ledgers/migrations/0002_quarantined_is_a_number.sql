-- Before there was quarantine, its counts were an empty object by reason: no row could go there. Now they are a number.
UPDATE runs SET facts = json_set(facts, '$.counts.quarantined', 0)
WHERE json_type(facts, '$.counts.quarantined') = 'object';

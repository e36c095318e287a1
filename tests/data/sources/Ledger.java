package bank;

import java.util.ArrayList;
import java.util.List;

/** Entries of one account, oldest first. */
public final class Ledger {
    private final List<Entry> entries = new ArrayList<>();
    private long balance;

    public Ledger(long opening) {
        if (opening < 0) {
            throw new IllegalArgumentException("opening balance below zero: " + opening);
        }
        this.balance = opening;
    }

    public void add(Entry entry) {
        switch (entry.kind()) {
            case DEPOSIT:
                balance += entry.amount();
                break;
            case WITHDRAWAL:
                balance -= entry.amount();
                break;
            default:
                throw new IllegalStateException("unknown kind");
        }
        entries.add(entry);
    }

    public long total(String category) {
        return entries.stream()
            .filter(entry -> entry.category().equals(category))
            .mapToLong(Entry::amount)
            .sum();
    }

    public String toString() {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < entries.size(); i++) {
            if (i > 0) {
                text.append(", ");
            } else {
                text.append(" ");
            }
            text.append(entries.get(i));
        }
        return text.append(']').toString();
    }
}

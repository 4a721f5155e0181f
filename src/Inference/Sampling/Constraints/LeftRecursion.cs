using static Eigengate.Inference.Sampling.Constraints.Grammar;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>A rule that can call itself before any byte is taken would call itself for ever.</summary>
internal static class LeftRecursion
{
    /// <exception cref="ConstraintException">Names a rule that does so.</exception>
    public static void Refuse(Node[] nodes, IReadOnlyDictionary<Rule, int> entries)
    {
        var empty = Nullable(nodes);
        var names = entries.ToDictionary(e => e.Value, e => e.Key.Name);
        var calls = entries.Values.Distinct().ToDictionary(entry => entry, entry => FirstCalls(nodes, empty, entry));

        // Topological order of "calls first"; what remains lies on or before a cycle.
        var callers = calls.Keys.ToDictionary(k => k, _ => new List<int>());
        var open = new Dictionary<int, int>();
        foreach (var (entry, called) in calls)
        {
            open[entry] = called.Count;
            foreach (var target in called)
                callers[target].Add(entry);
        }

        var ready = new Queue<int>(open.Where(o => o.Value == 0).Select(o => o.Key));
        var done = 0;
        for (; ready.TryDequeue(out var entry); done++)
        {
            foreach (var caller in callers[entry])
            {
                if (--open[caller] == 0)
                    ready.Enqueue(caller);
            }
        }

        if (done < calls.Count)
            throw new ConstraintException($"the rule '{names[open.First(o => o.Value > 0).Key]}' is left-recursive: it can refer to itself before any text");
    }

    private static bool[] Nullable(Node[] nodes)
    {
        var empty = new bool[nodes.Length];
        var changed = true;
        for (var pass = 0; changed; pass++)
        {
            changed = false;
            for (var k = 0; k < nodes.Length; k++)
            {
                var i = pass % 2 == 0 ? k : nodes.Length - 1 - k;
                var node = nodes[i];
                if (empty[i] || !(node.Step switch
                {
                    Step.Byte => false,
                    Step.Split => empty[node.A] || empty[node.B],
                    Step.Call => empty[node.A] && empty[node.B],
                    _ => true,
                }))
                    continue;
                empty[i] = changed = true;
            }
        }

        return empty;
    }

    private static HashSet<int> FirstCalls(Node[] nodes, bool[] empty, int entry)
    {
        var called = new HashSet<int>();
        var seen = new HashSet<int> { entry };
        var open = new Stack<int>([entry]);
        while (open.TryPop(out var at))
        {
            var node = nodes[at];
            if (node.Step == Step.Call)
                called.Add(node.A);
            if (node.Step == Step.Split && seen.Add(node.A))
                open.Push(node.A);
            if ((node.Step == Step.Split || (node.Step == Step.Call && empty[node.A])) && seen.Add(node.B))
                open.Push(node.B);
        }

        return called;
    }
}

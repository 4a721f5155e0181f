using static Eigengate.Inference.Sampling.Constraints.Grammar;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// The order of rules by what they can begin with. A rule that can begin with itself would call itself for ever before any
/// byte is taken: that is left recursion, and there is no order.
/// </summary>
internal sealed class RuleOrder
{
    private readonly Node[] _nodes;
    private readonly bool[] _nullable;

    /// <param name="nodes">Of the whole grammar.</param>
    /// <param name="nullable">By node.</param>
    /// <param name="ruleNames">By the first node of each rule.</param>
    /// <exception cref="ConstraintException">Names a rule that is left-recursive.</exception>
    public RuleOrder(Node[] nodes, bool[] nullable, IReadOnlyDictionary<int, string> ruleNames)
    {
        (_nodes, _nullable) = (nodes, nullable);
        var firstCalls = ruleNames.Keys.ToDictionary(entry => entry, FirstCalls);
        var callers = ruleNames.Keys.ToDictionary(entry => entry, _ => 0);
        foreach (var called in firstCalls.Values.SelectMany(c => c))
            callers[called]++;

        var ready = new Queue<int>(callers.Where(c => c.Value == 0).Select(c => c.Key));
        var ranks = new Dictionary<int, int>();
        while (ready.TryDequeue(out var entry))
        {
            ranks[entry] = ranks.Count;
            foreach (var called in firstCalls[entry])
            {
                if (--callers[called] == 0)
                    ready.Enqueue(called);
            }
        }

        Ranks = ranks;
        if (ranks.Count < ruleNames.Count)
            throw new ConstraintException($"the rule '{ruleNames[OnCircle(firstCalls, ranks)]}' is left-recursive: it can refer to itself before any text (write a repetition instead)");
    }

    public IReadOnlyDictionary<int, int> Ranks { get; }

    /// <summary>What has no rank is on a circle or behind one: following callers back ends on it.</summary>
    private static int OnCircle(Dictionary<int, HashSet<int>> firstCalls, Dictionary<int, int> ranks)
    {
        var caller = new Dictionary<int, int>();
        foreach (var (entry, called) in firstCalls.Where(c => !ranks.ContainsKey(c.Key)))
        {
            foreach (var target in called)
                caller[target] = entry;
        }

        var at = firstCalls.Keys.First(entry => !ranks.ContainsKey(entry));
        var seen = new HashSet<int>();
        while (seen.Add(at))
            at = caller[at];
        return at;
    }

    private HashSet<int> FirstCalls(int entry)
    {
        var called = new HashSet<int>();
        var seen = new HashSet<int> { entry };
        var open = new Stack<int>([entry]);
        while (open.TryPop(out var at))
        {
            var node = _nodes[at];
            if (node.Step == Step.Call)
                called.Add(node.A);
            if (node.Step == Step.Split && seen.Add(node.A))
                open.Push(node.A);
            if ((node.Step == Step.Split || (node.Step == Step.Call && _nullable[node.A])) && seen.Add(node.B))
                open.Push(node.B);
        }

        return called;
    }
}

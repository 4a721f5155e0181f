using static Eigengate.Inference.Sampling.Constraints.Grammar;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>What follows from the nodes of a grammar, each found in time linear in their number (times the depth limit).</summary>
internal sealed class GrammarFacts
{
    /// <summary>Beyond every limit: the end of the rule is out of reach.</summary>
    public const int Never = int.MaxValue / 2;

    private readonly Node[] _nodes;
    private readonly int[] _userStarts;
    private readonly int[] _users;

    /// <exception cref="ConstraintException">A rule is left-recursive.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public GrammarFacts(Node[] nodes, IReadOnlyDictionary<int, string> ruleNames, int maxDepth, CompileWork work)
    {
        _nodes = nodes;
        (_userStarts, _users) = FindUsers(nodes);
        IsNullable = FindNullable();
        Depths = FindDepths(maxDepth, work);
        Ranks = new RuleOrder(nodes, IsNullable, ruleNames).Ranks;
    }

    /// <summary>Whether the end of the rule can be reached from a node without any byte.</summary>
    public bool[] IsNullable { get; }

    /// <summary>For each node the nesting that it takes at least to reach the end of its rule.</summary>
    public int[] Depths { get; }

    /// <summary>By first node of a rule: rules that can begin with others have smaller numbers than these.</summary>
    public IReadOnlyDictionary<int, int> Ranks { get; }

    private ReadOnlySpan<int> Users(int node) => _users.AsSpan(_userStarts[node], _userStarts[node + 1] - _userStarts[node]);

    /// <summary>For each node those that name it in A or B.</summary>
    private static (int[] Starts, int[] Users) FindUsers(Node[] nodes)
    {
        var starts = new int[nodes.Length + 1];
        foreach (var node in nodes)
        {
            if (node.Step == Step.Return)
                continue;
            starts[node.A + 1]++;
            if (node.Step != Step.Byte)
                starts[node.B + 1]++;
        }

        for (var i = 0; i < nodes.Length; i++)
            starts[i + 1] += starts[i];
        var next = starts.ToArray();
        var users = new int[starts[^1]];
        for (var i = 0; i < nodes.Length; i++)
        {
            if (nodes[i].Step == Step.Return)
                continue;
            users[next[nodes[i].A]++] = i;
            if (nodes[i].Step != Step.Byte)
                users[next[nodes[i].B]++] = i;
        }

        return (starts, users);
    }

    private bool[] FindNullable()
    {
        var nullable = new bool[_nodes.Length];
        Spread(nullable, node => node.Step switch
        {
            Step.Split => nullable[node.A] || nullable[node.B],
            Step.Call => nullable[node.A] && nullable[node.B],
            _ => false,
        });
        return nullable;
    }

    /// <summary>Level by level: what can be completed within one more level of nesting than what is known.</summary>
    private int[] FindDepths(int maxDepth, CompileWork work)
    {
        var depths = new int[_nodes.Length];
        Array.Fill(depths, Never);
        var within = new bool[_nodes.Length];
        for (var level = 0; level <= maxDepth; level++)
        {
            work.Spend(1);
            var limit = level;
            Spread(within, node => node.Step switch
            {
                Step.Byte => within[node.A],
                Step.Split => within[node.A] || within[node.B],
                Step.Call => (node.Nests ? depths[node.A] < limit : within[node.A]) && within[node.B],
                _ => true,
            });
            var grown = false;
            for (var i = 0; i < depths.Length; i++)
            {
                if (!within[i] || depths[i] != Never)
                    continue;
                depths[i] = level;
                grown = true;
            }

            if (!grown)
                break;
        }

        return depths;
    }

    /// <summary>Marks every node for which the condition holds, again and again until none is added. Returns hold always.</summary>
    private void Spread(bool[] marked, Func<Node, bool> holds)
    {
        var open = new Stack<int>();
        void Check(int i)
        {
            if (marked[i] || !(_nodes[i].Step == Step.Return || holds(_nodes[i])))
                return;
            marked[i] = true;
            open.Push(i);
        }

        for (var i = 0; i < _nodes.Length; i++)
            Check(i);
        while (open.TryPop(out var node))
        {
            foreach (var user in Users(node))
                Check(user);
        }
    }
}

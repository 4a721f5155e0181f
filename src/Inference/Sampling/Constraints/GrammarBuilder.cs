using static Eigengate.Inference.Sampling.Constraints.Grammar;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Turns rules into a <see cref="Grammar"/> (Thompson's construction, back to front). Used once.</summary>
internal sealed class GrammarBuilder
{
    /// <summary>Sets of more byte sequences are written once, however often they are used.</summary>
    private const int MaxInlineSequences = 2;

    /// <summary>Bounds memory and time: 16 bytes each.</summary>
    private const int MaxNodes = 1 << 17;

    // Deeper expressions would exhaust the thread's stack.
    private const int MaxExpressionDepth = 500;

    private readonly List<Node> _nodes = [];
    private readonly Dictionary<Rule, int> _entries = [];
    private readonly Queue<Rule> _pending = [];
    private readonly Dictionary<CodePoints, (byte Low, byte High)[][]> _encodings = [];
    private readonly Dictionary<CodePoints, Rule> _characterRules = [];
    private readonly Dictionary<string, Rule> _equalCharacterRules = [];
    private readonly List<(int Node, Rule Rule)> _calls = [];
    private readonly CompileWork _work;
    private int _expressionDepth;

    private GrammarBuilder(CompileWork work) => _work = work;

    /// <exception cref="ConstraintException">The grammar is too large, matches nothing within the depth, or is left-recursive.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static Grammar Build(Expression root, int maxDepth, CompileWork work)
    {
        var builder = new GrammarBuilder(work);
        var rule = new Rule("root") { Body = root };
        builder.Require(rule);
        while (builder._pending.TryDequeue(out var next))
            builder._entries[next] = builder.Emit(next.Body ?? throw new ConstraintException($"the rule '{next.Name}' is not defined"), builder.Add(new Node(Step.Return)));
        foreach (var (node, called) in builder._calls)
            builder._nodes[node] = builder._nodes[node] with { A = builder._entries[called] };

        var nodes = builder._nodes.ToArray();
        var facts = new GrammarFacts(nodes, builder._entries.ToDictionary(e => e.Value, e => e.Key.Name), maxDepth, work);
        var start = builder._entries[rule];
        return facts.Depths[start] <= maxDepth ? new Grammar(nodes, start, facts, maxDepth)
            : throw new ConstraintException(maxDepth > 0 ? $"no text satisfies it with at most {maxDepth} levels of nesting" : "no text satisfies it");
    }

    private int Emit(Expression expression, int next)
    {
        if (++_expressionDepth > MaxExpressionDepth)
            throw new ConstraintException($"it nests more than {MaxExpressionDepth} deep");
        var entry = expression switch
        {
            Literal literal => literal.Bytes.Reverse().Aggregate(next, (at, value) => Add(new Node(Step.Byte, at, 0, value, value))),
            Characters characters => EmitCharacters(characters.Set, next),
            Sequence sequence => sequence.Parts.Reverse().Aggregate(next, (at, part) => Emit(part, at)),
            Alternatives alternatives => Choose([.. alternatives.Options.Select(option => Emit(option, next))]),
            Repetition repetition => EmitRepetition(repetition, next),
            Reference reference => Call(reference.Rule, next, reference.Nests),
            _ => throw new ArgumentException($"unknown expression {expression.GetType()}", nameof(expression)),
        };
        _expressionDepth--;
        return entry;
    }

    private int EmitCharacters(CodePoints set, int next)
    {
        if (!_encodings.TryGetValue(set, out var sequences))
        {
            _encodings[set] = sequences = [.. Utf8Ranges.Of(set)];
            _work.Spend(sequences.Length);
        }

        return sequences.Length <= MaxInlineSequences ? EmitBytes(sequences, next) : Call(RuleOf(set, sequences), next, nests: false);
    }

    private Rule RuleOf(CodePoints set, (byte Low, byte High)[][] sequences)
    {
        if (_characterRules.TryGetValue(set, out var rule))
            return rule;
        if (!_equalCharacterRules.TryGetValue(set.Key, out rule))
        {
            _equalCharacterRules[set.Key] = rule = new Rule("character") { Body = new Characters(set) };
            _entries[rule] = EmitBytes(sequences, Add(new Node(Step.Return)));
        }

        return _characterRules[set] = rule;
    }

    private int EmitBytes((byte Low, byte High)[][] sequences, int next) => Choose([.. sequences.Select(bytes =>
        bytes.Reverse().Aggregate(next, (at, range) => Add(new Node(Step.Byte, at, 0, range.Low, range.High))))]);

    private int EmitRepetition(Repetition repetition, int next)
    {
        var (body, least, most) = repetition;
        if (least > MaxNodes || most > MaxNodes)
            throw TooLarge();
        if ((most ?? least + 1) > 1 && body is not (Characters or Reference or Literal { Bytes.Length: <= 4 }))
            body = new Reference(new Rule("repeated") { Body = body });

        var at = next;
        if (most is null)
        {
            at = Add(new Node(Step.Split, B: next));
            _nodes[at] = _nodes[at] with { A = Emit(body, at) };
        }

        for (var i = least; i < most; i++)
            at = Add(new Node(Step.Split, Emit(body, at), next));
        for (var i = 0; i < least; i++)
            at = Emit(body, at);
        return at;
    }

    /// <summary>A node that goes on at any of the entries; without entries at itself, for ever.</summary>
    private int Choose(int[] entries)
    {
        if (entries.Length == 0)
            return Add(new Node(Step.Split, _nodes.Count, _nodes.Count));
        var at = entries[^1];
        for (var i = entries.Length - 2; i >= 0; i--)
            at = Add(new Node(Step.Split, entries[i], at));
        return at;
    }

    private int Call(Rule rule, int next, bool nests)
    {
        Require(rule);
        var node = Add(new Node(Step.Call, 0, next, Nests: nests));
        _calls.Add((node, rule));
        return node;
    }

    private void Require(Rule rule)
    {
        if (_entries.TryAdd(rule, -1))
            _pending.Enqueue(rule);
    }

    private int Add(Node node)
    {
        if (_nodes.Count == MaxNodes)
            throw TooLarge();
        _work.Spend(1);
        _nodes.Add(node);
        return _nodes.Count - 1;
    }

    private static ConstraintException TooLarge() => new($"it is too large: its automaton has more than {MaxNodes} nodes");
}

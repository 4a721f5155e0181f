using static Eigengate.Inference.Sampling.Constraints.Grammar;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// The deterministic states of a grammar, found on demand by subset construction: a state is a set of nodes that wait for
/// a byte, each with its stack of return nodes. Equal states are the same object while they are remembered. Not thread-safe.
/// </summary>
internal sealed class PushdownStates
{
    /// <summary>Positions in all states of one grammar (16 bytes each). Beyond it all are forgotten but for those in use.</summary>
    private const int MaxRemembered = 1 << 20;

    // The table of next states in positions.
    private const int TableSize = 128;

    /// <summary>Of an ambiguous grammar only so many ways to read a text are followed; any of them keeps the text within it.</summary>
    private const int MaxPositions = 10_000;

    private readonly Grammar _grammar;
    private readonly Dictionary<State, State> _states = [];
    private readonly Dictionary<(int Return, Frame? Parent), Frame> _frames = [];
    private readonly HashSet<(int Node, Frame? Stack)> _seen = [];
    private readonly Stack<(int Node, Frame? Stack)> _open = [];
    private int _nextFrame;
    private int _remembered;

    public PushdownStates(Grammar grammar)
    {
        _grammar = grammar;
        Start = Close([(grammar.Start, null)]);
    }

    public State Start { get; }

    /// <summary>Positions looked at since the beginning: the measure of work.</summary>
    public long Work { get; private set; }

    /// <summary>Whether some ways to read a text were given up.</summary>
    public bool IsNarrowed { get; private set; }

    /// <summary>The state after one more byte; null when no text of the language continues so.</summary>
    public State? Next(State state, byte value)
    {
        var next = state.Next[value];
        if (next is null)
        {
            Work += state.Positions.Length;
            var moved = new List<(int, Frame?)>();
            foreach (var (node, stack) in state.Positions)
            {
                var step = _grammar.Nodes[node];
                if (value >= step.Low && value <= step.High)
                    moved.Add((step.A, stack));
            }

            next = moved.Count == 0 ? State.Dead : Close(moved);
            state.Next[value] = next;
        }

        return next == State.Dead ? null : next;
    }

    /// <summary>Follows everything that takes no byte.</summary>
    private State Close(List<(int Node, Frame? Stack)> from)
    {
        _seen.Clear();
        foreach (var position in from)
            Visit(position.Node, position.Stack);
        var waiting = new List<(int Node, Frame? Stack)>();
        var accepts = false;
        while (_open.TryPop(out var at))
        {
            Work++;
            if (_seen.Count > MaxPositions && (accepts || waiting.Count > 0))
            {
                IsNarrowed = true;
                _open.Clear();
                break;
            }

            var node = _grammar.Nodes[at.Node];
            switch (node.Step)
            {
                case Step.Byte:
                    waiting.Add(at);
                    break;
                case Step.Split:
                    Visit(node.A, at.Stack);
                    Visit(node.B, at.Stack);
                    break;
                case Step.Call:
                    Visit(node.A, Push(node, at.Stack));
                    break;
                case Step.Return when at.Stack is { } frame:
                    Visit(frame.Return, frame.Parent);
                    break;
                default:
                    accepts = true;
                    break;
            }
        }

        waiting.Sort((a, b) => a.Node != b.Node ? a.Node.CompareTo(b.Node) : (a.Stack?.Id ?? -1).CompareTo(b.Stack?.Id ?? -1));
        return Remember(new State([.. waiting], accepts));
    }

    private void Visit(int node, Frame? stack)
    {
        if ((stack?.Depth ?? 0) + _grammar.Depths[node] <= _grammar.MaxDepth && _seen.Add((node, stack)))
            _open.Push((node, stack));
    }

    private Frame? Push(Node call, Frame? stack)
    {
        // Nothing remains to be done after a call at the end of a rule.
        if (!call.Nests && _grammar.Nodes[call.B].Step == Step.Return)
            return stack;
        if (!_frames.TryGetValue((call.B, stack), out var frame))
            _frames[(call.B, stack)] = frame = new Frame(call.B, stack, (stack?.Depth ?? 0) + (call.Nests ? 1 : 0), _nextFrame++);
        return frame;
    }

    private State Remember(State state)
    {
        if (_states.TryGetValue(state, out var known))
            return known;
        _remembered += TableSize + state.Positions.Length;
        if (_remembered > MaxRemembered)
        {
            _remembered = 0;
            _states.Clear();
            _frames.Clear();
        }

        return _states[state] = state;
    }

    internal sealed record Frame(int Return, Frame? Parent, int Depth, int Id)
    {
        public bool Equals(Frame? other) => ReferenceEquals(this, other);

        public override int GetHashCode() => Id;
    }

    internal sealed class State : IEquatable<State>
    {
        public static readonly State Dead = new([], false);

        private readonly int _hash;
        private State?[]? _next;

        public State((int Node, Frame? Stack)[] positions, bool accepts)
        {
            Positions = positions;
            Accepts = accepts;
            var hash = new HashCode();
            hash.Add(accepts);
            foreach (var position in positions)
                hash.Add(position);
            _hash = hash.ToHashCode();
        }

        public (int Node, Frame? Stack)[] Positions { get; }

        /// <summary>Whether the text so far belongs to the language.</summary>
        public bool Accepts { get; }

        /// <summary>By byte; null where not yet known.</summary>
        public State?[] Next => _next ??= new State?[256];

        /// <summary>One bit for each token that may come next; null where not yet known.</summary>
        public ulong[]? Mask { get; set; }

        public bool Equals(State? other) => other is not null && Accepts == other.Accepts && Positions.AsSpan().SequenceEqual(other.Positions);

        public override bool Equals(object? obj) => Equals(obj as State);

        public override int GetHashCode() => _hash;
    }
}

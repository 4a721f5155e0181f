namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// A context-free grammar over bytes as one nondeterministic pushdown automaton: rules are subroutines. Immutable.
/// It is never empty, has no left recursion, and every path that stays within the depth limit can be completed.
/// </summary>
public sealed class Grammar
{
    internal Grammar(Node[] nodes, int start, GrammarFacts facts, int maxDepth)
    {
        Nodes = nodes;
        Start = start;
        Facts = facts;
        MaxDepth = maxDepth;
        Classes = new ByteClasses(nodes);
    }

    internal enum Step : byte
    {
        /// <summary>Takes a byte in [Low, High] and goes on at A.</summary>
        Byte,

        /// <summary>Goes on at A or at B.</summary>
        Split,

        /// <summary>Runs the rule that starts at A, then goes on at B.</summary>
        Call,

        /// <summary>The end of a rule.</summary>
        Return,
    }

    internal Node[] Nodes { get; }

    internal int Start { get; }

    internal GrammarFacts Facts { get; }

    internal int MaxDepth { get; }

    internal ByteClasses Classes { get; }

    internal readonly record struct Node(Step Step, int A = 0, int B = 0, byte Low = 0, byte High = 0, bool Nests = false);
}

using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;

namespace Eigengate.ChatTemplates.Nodes;

/// <summary>A part of the syntax tree. Nodes never change after parsing; what a rendering changes is in its state.</summary>
internal abstract class Node(Position position)
{
    public Position Position { get; } = position;
}

internal abstract class Expression(Position position) : Node(position)
{
    public object? Evaluate(RenderState state)
    {
        state.Step(this);
        return Compute(state);
    }

    protected abstract object? Compute(RenderState state);
}

/// <summary>How a statement ended, for the loop around it.</summary>
internal enum Flow
{
    Next,
    Break,
    Continue,
}

internal abstract class Statement(Position position) : Node(position)
{
    public Flow Execute(RenderState state)
    {
        state.Step(this);
        return Run(state);
    }

    protected abstract Flow Run(RenderState state);
}

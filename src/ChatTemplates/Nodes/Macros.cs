using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;

namespace Eigengate.ChatTemplates.Nodes;

internal sealed record MacroParameter(string Name, Expression? Default);

/// <summary>The Uses flags tell whether the body mentions those implicit names; only then are extra arguments taken.</summary>
internal sealed record MacroSignature(
    string Name, IReadOnlyList<MacroParameter> Parameters, bool UsesCaller, bool UsesVarargs, bool UsesKwargs);

internal sealed class Macro(Position position, MacroSignature signature, Block body) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        state.Scope.Set(signature.Name, new MacroValue(signature, body, state.Scope));
        return Flow.Next;
    }
}

internal sealed class CallBlock(Position position, Call call, MacroSignature signature, Block body) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        var caller = new MacroValue(signature, body, state.Scope);
        state.Output.Append(ValueText.Str(state, call.EvaluateWithCaller(state, caller)));
        return Flow.Next;
    }
}
